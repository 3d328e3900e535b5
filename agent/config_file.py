"""Reads ``edgeward.toml``: syntax, structure, then what no type can say. Errors name file and key."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec

from agent import config_check, secret_files
from agent.config import Config, Delegate, Engine, Pipeline, Stage, Stream
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
    text = read(path)
    return parse(text, where=str(path), folder=path.absolute().parent, to_run=to_run)


def read(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        EdgewardError: ``CONFIG_MISSING``, ``CONFIG_SYNTAX``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.CONFIG_MISSING) from error
    if len(raw) > MAX_BYTES:
        raise EdgewardError(Code.CONFIG_SYNTAX, f"longer than {MAX_BYTES} bytes", where=str(path))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EdgewardError(
            Code.CONFIG_SYNTAX, f"byte {error.start} is not UTF-8", where=str(path), remedy="save it as UTF-8"
        ) from error


def parse(text: str, *, where: str, folder: Path, to_run: bool = True) -> Config:
    """The configuration that ``text`` holds; ``where`` names it in errors. Otherwise as ``load``."""
    document = tables(text, where)
    _refuse_nan(document, "", where)
    try:
        loaded = msgspec.convert(document, Config)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise explain(str(error), where) from error
    config = _resolve(loaded, folder, where)
    if to_run:
        for check in config_check.checks(config, where):  # what no type can say stands there
            check()
    return config


def tables(text: str, where: str) -> dict[str, Any]:
    """What a TOML text says, as plain data.

    Raises:
        EdgewardError: ``CONFIG_SYNTAX``.
    """
    if text.startswith("\ufeff"):
        what, remedy = "it begins with a byte order mark", "save it as UTF-8 without one"
        raise EdgewardError(Code.CONFIG_SYNTAX, f"not valid TOML: {what}", where=where, remedy=remedy)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # tomllib quotes no more than one character of the text, so no secret can be in it.
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise EdgewardError(Code.CONFIG_SYNTAX, f"not valid TOML: {what}", where=where) from error


def effective(config: Config) -> dict[str, Any]:
    """The configuration as plain data, defaults filled in, URLs without secrets."""
    document: dict[str, Any] = msgspec.to_builtins(config)
    document["mqtt"]["url"] = redact(document["mqtt"]["url"])
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

# What a beginner in TOML writes, in msgspec's words, and how it is written.
_REMEDIES = {
    "Expected array, got object": "write [[{key}]], with two brackets",
    "Expected object, got array": "write [{key}], with one bracket",
    "Expected array, got (?!object)": "write it in brackets: [...]",
    "Expected (int|float|bool).*, got str": "write it without quotes",
    "Expected str.*, got (int|float|bool|date|time)": "write it in quotes",
}


def explain(message: str, where: str, key: str = "") -> EdgewardError:
    """From msgspec's "Expected `int`, got `str` - at `$.mqtt.keepalive_s`" to our error.

    Args:
        message: msgspec's.
        where: the file.
        key: what was converted, when it was not the whole file.
    """
    unknown = _UNKNOWN.match(message)
    if unknown:
        at, name = _joined(key, unknown["at"] or ""), unknown["key"]
        return unknown_key(name, at, _keys_at(at), where)
    other = _OTHER.match(message)
    at = _joined(key, (other["at"] if other else None) or "")
    what = (other["what"] if other else message).replace("`", "")
    missing = re.match(r"Object missing required field (\w+)", what)
    if missing:
        return missing_key(_joined(at, missing[1]), where)
    what, remedy = what.replace(_PATTERN, _PATTERN_WORDS), ""
    other_word = re.match(r"Invalid enum value '(.*)'\Z", what, re.DOTALL)
    if other_word:
        choices = _choices_at(at)
        what = f"{other_word[1]!r} is none of {', '.join(choices)}"
        near = difflib.get_close_matches(other_word[1].lower(), choices, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "use one of them"
    for pattern, words in _REMEDIES.items():
        if re.match(pattern, what):
            remedy = words.format(key=re.sub(r"\[[^]]*\]", "", at))
    key_of_error = f"{where}: {at}" if at else where
    return EdgewardError(Code.CONFIG_VALUE, what[:1].lower() + what[1:], where=key_of_error, remedy=remedy)


def unknown_key(name: str, at: str, known: list[str], where: str) -> EdgewardError:
    """The error for a key ``name`` in the table ``at``, which knows other keys."""
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    key = _printable(_joined(at, name))
    return EdgewardError(Code.CONFIG_UNKNOWN_KEY, "unknown key", where=f"{where}: {key}", remedy=remedy)


def missing_key(key: str, where: str) -> EdgewardError:
    """The error for a required key that does not stand there."""
    what = "this key is required and missing"
    return EdgewardError(Code.CONFIG_VALUE, what, where=f"{where}: {key}", remedy="add it")


def _joined(at: str, key: str) -> str:
    return f"{at}.{key}" if at and key and not key.startswith("[") else at + key


def _keys_at(at: str) -> list[str]:
    """Names of the keys that are known at a path such as ``pipeline[...].stream[...]``."""
    struct = _struct_at(re.findall(r"[A-Za-z_]\w*", at))
    return [field.name for field in msgspec.structs.fields(struct)] if struct is not None else []


def _choices_at(at: str) -> list[str]:
    """The words that a key may hold, where it may hold some words only."""
    *tables, key = re.findall(r"[A-Za-z_]\w*", at) or [""]
    struct = _struct_at(tables)
    hint = typing.get_type_hints(struct).get(key) if struct is not None else None
    return [str(word) for word in typing.get_args(hint)]


def _struct_at(names: list[str]) -> Any:
    struct: Any = Config
    for name in names:
        struct = struct_in(typing.get_type_hints(struct).get(name)) if struct is not None else None
    return struct


def struct_in(hint: Any) -> Any:
    """The struct that a type is, or is made of; ``None`` without one."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for inner in typing.get_args(hint):
        found = struct_in(inner)
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

    def secret(path: str, key: str) -> str:
        if path.startswith(secret_files.PREFIX):
            return secret_files.located(path, where=f"{where}: {key}")
        return at(path, key)

    def stream(item: Stream, key: str) -> Stream:
        url = item.url if "://" in item.url or not item.url else at(item.url, f"{key}.url")
        password = secret(item.password_file, f"{key}.password_file")
        return msgspec.structs.replace(item, url=url, password_file=password)

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
        device=msgspec.structs.replace(
            config.device, state_dir=state, profiles_dir=at(config.device.profiles_dir, "device.profiles_dir")
        ),
        mqtt=msgspec.structs.replace(
            config.mqtt, **{name: secret(getattr(config.mqtt, name), f"mqtt.{name}") for name in files}
        ),
        trust=msgspec.structs.replace(
            config.trust, release_keys=tuple(keys), folder=at(config.trust.folder, "trust.folder")
        ),
        control=msgspec.structs.replace(config.control, socket=at(config.control.socket, "control.socket")),
        engine=engine(config.engine),
        pipeline=tuple(pipeline(item, f"pipeline[{index}]") for index, item in enumerate(config.pipeline)),
    )
