"""Reads ``edgeward.toml``: syntax, structure, then what no type can say. Errors name file and key."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec

from agent import config as schema
from agent.config import Config, Delegate, Engine, Mqtt, Pipeline, Stage, Stream, Tiling
from runtime.bundle.trust_folder import is_key_file
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.redact import redact

MAX_BYTES = 1 << 20


def load(path: Path, *, to_run: bool = True) -> Config:
    """The configuration in ``path``, with its relative paths resolved against the file's folder.

    Args:
        path: the file.
        to_run: whether an agent is to run with it: then what no type can say is checked too.

    Raises:
        EdgewardError: ``CONFIG_*``, naming the file, the key and what was expected.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.CONFIG_MISSING) from error
    if len(raw) > MAX_BYTES:
        raise EdgewardError(Code.CONFIG_SYNTAX, f"longer than {MAX_BYTES} bytes", where=str(path))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EdgewardError(
            Code.CONFIG_SYNTAX, f"byte {error.start} is not UTF-8", where=str(path), remedy="save it as UTF-8"
        ) from error
    return parse(text, where=str(path), folder=path.absolute().parent, to_run=to_run)


def parse(text: str, *, where: str, folder: Path, to_run: bool = True) -> Config:
    """The configuration that ``text`` holds; ``where`` names it in errors. Otherwise as ``load``."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # tomllib quotes no more than one character of the text, so no secret can be in it.
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise EdgewardError(Code.CONFIG_SYNTAX, f"not valid TOML: {what}", where=where) from error
    _refuse_nan(document, "", where)
    try:
        loaded = msgspec.convert(document, Config)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise _explain(str(error), where) from error
    config = _resolve(loaded, folder, where)
    if to_run:
        _check(config, where)
    return config


def effective(config: Config) -> dict[str, Any]:
    """The configuration as plain data, defaults filled in, URLs without secrets."""
    document: dict[str, Any] = msgspec.to_builtins(config)
    for pipeline in document["pipeline"]:
        for stream in pipeline["stream"]:
            stream["url"] = redact(stream["url"])
    return document


def _refuse_nan(value: Any, key: str, where: str) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_nan(inner, f"{key}.{name}" if key else name, where)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_nan(inner, f"{key}[{index}]", where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise EdgewardError(Code.CONFIG_VALUE, "expected a finite number", where=f"{where}: {key}")


_AT = r"(?: - at `\$\.?(?P<at>.*)`)?\Z"
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*?)`" + _AT, re.DOTALL)
_OTHER = re.compile(r"(?P<what>.*?)" + _AT, re.DOTALL)
# msgspec's words for the pattern of ``config.Name``, and ours.
_PATTERN = "matching regex '^[A-Za-z0-9_-]{1,64}\\\\Z'"
_PATTERN_WORDS = "of 1 to 64 letters, digits, '-' and '_'"


def _explain(message: str, where: str) -> EdgewardError:
    """From msgspec's "Expected `int`, got `str` - at `$.mqtt.keepalive_s`" to our error."""
    unknown = _UNKNOWN.match(message)
    if unknown:
        at, key = unknown["at"] or "", unknown["key"]
        known = _keys_at(at)
        near = difflib.get_close_matches(key, known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        path = f"{at}.{key}" if at else key
        return EdgewardError(
            Code.CONFIG_UNKNOWN_KEY, "unknown key", where=f"{where}: {_printable(path)}", remedy=remedy
        )
    other = _OTHER.match(message)
    at = (other["at"] if other else None) or ""
    what = (other["what"] if other else message).replace("`", "")
    missing = re.match(r"Object missing required field (\w+)", what)
    if missing:
        path = f"{at}.{missing[1]}" if at else missing[1]
        return EdgewardError(
            Code.CONFIG_VALUE, "this key is required and missing", where=f"{where}: {path}", remedy="add it"
        )
    what = what.replace(_PATTERN, _PATTERN_WORDS)
    return EdgewardError(
        Code.CONFIG_VALUE, what[:1].lower() + what[1:], where=f"{where}: {at}" if at else where
    )


def _keys_at(at: str) -> list[str]:
    """Names of the keys that are known at a path such as ``pipeline[...].stream[...]``."""
    struct: Any = Config
    for part in re.findall(r"[A-Za-z_]\w*", at):
        struct = _struct_in(typing.get_type_hints(struct).get(part))
        if struct is None:
            return []
    return [field.name for field in msgspec.structs.fields(struct)]


def _struct_in(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for inner in typing.get_args(hint):
        found = _struct_in(inner)
        if found is not None:
            return found
    return None


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _resolve(config: Config, folder: Path, where: str) -> Config:
    """Relative paths are those beside the file, wherever the agent was started."""

    def at(path: str, key: str) -> str:
        if "\0" in path:
            raise EdgewardError(Code.CONFIG_VALUE, "expected a path", where=f"{where}: {key}")
        return str(folder / path) if path else ""

    def stream(item: Stream, key: str) -> Stream:
        url = item.url if "://" in item.url or not item.url else at(item.url, f"{key}.url")
        secret = at(item.password_file, f"{key}.password_file")
        return msgspec.structs.replace(item, url=url, password_file=secret)

    def pipeline(item: Pipeline, key: str) -> Pipeline:
        streams = tuple(stream(inner, f"{key}.stream[{index}]") for index, inner in enumerate(item.stream))
        stages = tuple(stage(inner, f"{key}.stage[{index}]") for index, inner in enumerate(item.stage))
        bundle = at(item.bundle, f"{key}.bundle")
        return msgspec.structs.replace(item, bundle=bundle, stream=streams, stage=stages)

    def stage(item: Stage, key: str) -> Stage:
        return msgspec.structs.replace(item, bundle=at(item.bundle, f"{key}.bundle"))

    def delegate(item: Delegate, key: str) -> Delegate:
        # A bare name is left to the loader of the system, which knows where libraries lie.
        path = at(item.path, f"{key}.path")
        return msgspec.structs.replace(item, path=path if "/" in item.path else item.path)

    def engine(item: Engine) -> Engine:
        cache = at(item.cache_dir, "engine.cache_dir") or str(Path(state) / "cache")
        found = (delegate(inner, f"engine.delegate[{index}]") for index, inner in enumerate(item.delegate))
        return msgspec.structs.replace(item, cache_dir=cache, delegate=tuple(found))

    keys = (at(key, f"trust.release_keys[{index}]") for index, key in enumerate(config.trust.release_keys))
    files = ("password_file", "ca_file", "cert_file", "key_file")
    state = at(config.device.state_dir, "device.state_dir")
    return msgspec.structs.replace(
        config,
        device=msgspec.structs.replace(config.device, state_dir=state),
        mqtt=msgspec.structs.replace(
            config.mqtt, **{name: at(getattr(config.mqtt, name), f"mqtt.{name}") for name in files}
        ),
        trust=msgspec.structs.replace(
            config.trust, release_keys=tuple(keys), folder=at(config.trust.folder, "trust.folder")
        ),
        engine=engine(config.engine),
        pipeline=tuple(pipeline(item, f"pipeline[{index}]") for index, item in enumerate(config.pipeline)),
    )


def _check(config: Config, where: str) -> None:
    if not config.device.state_dir:
        raise EdgewardError(Code.CONFIG_VALUE, "expected a path", where=f"{where}: device.state_dir")
    _check_mqtt(config.mqtt, where)
    _check_engine(config.engine, where)
    if config.pipeline and not config.trust.release_keys and not _has_key_files(config.trust.folder):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a pipeline needs at least one key that may sign its bundle",
            where=f"{where}: trust.release_keys",
            remedy="name the public key files that you trust, or add one with 'edgeward trust add'",
        )
    for index, key in enumerate(config.trust.release_keys):
        _check_plain_key(Path(key), f"{where}: trust.release_keys[{index}]")
    _unique([item.name for item in config.pipeline], "pipeline", where)
    for index, pipeline in enumerate(config.pipeline):
        _check_pipeline(pipeline, f"pipeline[{index}]", where)


def _check_plain_key(path: Path, key: str) -> None:
    """What a trust folder says of its keys is watched while the agent runs, of ``trust.folder`` only."""
    try:
        folder = path.is_dir()
    except OSError:
        folder = False  # whoever reads it says why
    if folder or is_key_file(path.name):
        what, remedy = "expected a plain public key file", "name a trust folder as trust.folder"
        raise EdgewardError(Code.CONFIG_VALUE, what, where=key, remedy=remedy)


def _has_key_files(folder: str) -> bool:
    """Whether something is there to be believed; what is wrong with it is said when a bundle is verified."""
    try:
        return bool(folder) and any(is_key_file(path.name) for path in Path(folder).iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _check_pipeline(pipeline: Pipeline, key: str, where: str) -> None:
    if not pipeline.bundle:
        raise EdgewardError(Code.CONFIG_VALUE, "expected a path", where=f"{where}: {key}.bundle")
    _check_cpus(pipeline.affinity, f"{where}: {key}.affinity")
    if pipeline.tiling is not None:
        _check_tiling(pipeline.tiling, f"{where}: {key}.tiling")
    _unique([item.name for item in pipeline.stage], f"{key}.stage", where)
    for number, stage in enumerate(pipeline.stage):
        if not stage.bundle:
            at = f"{where}: {key}.stage[{number}].bundle"
            raise EdgewardError(Code.CONFIG_VALUE, "expected a path", where=at)
    _unique([item.name for item in pipeline.stream], f"{key}.stream", where)
    for number, stream in enumerate(pipeline.stream):
        _check_stream(stream, f"{where}: {key}.stream[{number}]")


def _check_engine(engine: Engine, where: str) -> None:
    _check_cpus(engine.affinity, f"{where}: engine.affinity")
    if len(set(engine.providers)) != len(engine.providers):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a provider stands there twice",
            where=f"{where}: engine.providers",
            remedy="name each once, the one that is wanted most first",
        )
    for index, delegate in enumerate(engine.delegate):
        if not delegate.path:
            key = f"{where}: engine.delegate[{index}].path"
            raise EdgewardError(Code.CONFIG_VALUE, "expected a path", where=key)


def _check_cpus(cpus: tuple[int, ...], key: str) -> None:
    # Of those that the machine is made with: one that is switched off today must not keep the agent down.
    built_in = os.sysconf("SC_NPROCESSORS_CONF")
    for cpu in cpus:
        if cpu >= built_in:
            raise EdgewardError(
                Code.CONFIG_VALUE,
                f"this machine has no CPU {cpu}",
                where=key,
                remedy=f"use numbers from 0 to {built_in - 1}",
            )
    if len(set(cpus)) != len(cpus):
        raise EdgewardError(
            Code.CONFIG_VALUE, "a CPU stands there twice", where=key, remedy="name each CPU once"
        )


def _check_tiling(tiling: Tiling, key: str) -> None:
    if tiling.columns * tiling.rows < 2:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a single tile is the whole picture",
            where=key,
            remedy="set columns or rows to 2 or more, or leave the table out",
        )


def _check_stream(stream: Stream, key: str) -> None:
    schema.check_stream_url(stream.url, where=f"{key}.url")
    _check_login(stream.username, stream.password_file, key)
    if stream.username and "://" not in stream.url:
        raise EdgewardError(Code.CONFIG_VALUE, "a file takes no user name", where=f"{key}.username")


def _check_login(username: str, password_file: str, key: str) -> None:
    if password_file and not username:
        raise EdgewardError(
            Code.CONFIG_VALUE, "a password needs a user name", where=f"{key}.username", remedy="set it"
        )
    if password_file:
        schema.read_secret(password_file, where=f"{key}.password_file")


def _check_mqtt(mqtt: Mqtt, where: str) -> None:
    parts = schema.split_url(mqtt.url, where=f"{where}: mqtt.url")
    more = parts.path not in {"", "/"} or parts.query or parts.fragment or parts.port == 0
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or more:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "expected mqtt://host:port or mqtts://host:port",
            where=f"{where}: mqtt.url",
        )
    _check_login(mqtt.username, mqtt.password_file, f"{where}: mqtt")
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(mqtt, name)
        if path and not mqtt.tls:
            raise EdgewardError(
                Code.CONFIG_VALUE,
                "this needs TLS",
                where=f"{where}: mqtt.{name}",
                remedy="use an mqtts:// URL",
            )
        if path and not Path(path).is_file():
            raise EdgewardError(Code.CONFIG_VALUE, f"no such file: {path}", where=f"{where}: mqtt.{name}")
    if mqtt.key_file and not mqtt.cert_file:
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a key needs its certificate",
            where=f"{where}: mqtt.cert_file",
            remedy="set it",
        )


def _unique(names: list[str], key: str, where: str) -> None:
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            raise EdgewardError(
                Code.CONFIG_VALUE,
                f"the name {name!r} is taken by {key}[{first}]",
                where=f"{where}: {key}[{index}].name",
                remedy="give each a name of its own",
            )
