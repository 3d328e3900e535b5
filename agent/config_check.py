"""What no type can say of ``edgeward.toml``: one check after another, so that all that fail can be told.

A check is called, and raises an ``EdgewardError`` that names file and key. Adding one is adding a ``yield``
to ``checks``, or to what it yields from. A check may be called although one before it has failed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeAlias

from agent import config as schema
from agent.config import Config, Device, Engine, Mqtt, Pipeline, Stream, Tiling
from agent.config_cameras import camera_checks
from agent.control import settings as control_settings
from agent.device import settings as device_settings
from agent.device.library import Library
from agent.health import settings as health_settings
from agent.secret_files import check_private
from agent.workers.serve_settings import check_taken
from agent.workers.settings import check_supervision
from runtime.bundle.trust_folder import is_key_file
from runtime.errors import Code, EdgewardError

Check: TypeAlias = Callable[[], None]


def checks(config: Config, where: str) -> Iterator[Check]:
    """All checks of a configuration whose types are right; ``where`` is its file."""
    yield partial(_check_path, config.device.state_dir, f"{where}: device.state_dir")
    yield from _mqtt_checks(config.mqtt, f"{where}: mqtt")
    yield partial(health_settings.check, config.metrics, where)
    yield partial(control_settings.check, config.control, where)
    yield partial(device_settings.check, config.governor, f"{where}: governor")
    yield partial(_check_profile, config.device, where)
    yield partial(check_supervision, config.supervision, where)
    yield from _engine_checks(config.engine, f"{where}: engine")
    yield partial(_check_keys, config, where)
    for index, key in enumerate(config.trust.release_keys):
        yield partial(_check_plain_key, Path(key), f"{where}: trust.release_keys[{index}]")
    yield from _unique([item.name for item in config.pipeline], "pipeline", where)
    for index, pipeline in enumerate(config.pipeline):
        yield from _pipeline_checks(pipeline, f"pipeline[{index}]", where)
    yield partial(
        check_taken,
        [
            (f"{where}: pipeline[{index}].serve", pipeline.serve)
            for index, pipeline in enumerate(config.pipeline)
            if pipeline.serve is not None
        ],
        {config.metrics.listen: "metrics.listen", f"unix:{config.control.socket}": "control.socket"},
    )
    yield from camera_checks(config, where)


def missing_files(config: Config) -> Iterator[str]:
    """Files that are named and not there: no error, as they may still come, and seldom meant."""
    named = [(f"trust.release_keys[{index}]", key) for index, key in enumerate(config.trust.release_keys)]
    for index, pipeline in enumerate(config.pipeline):
        at = f"pipeline[{index}]"
        named.append((f"{at}.bundle", pipeline.bundle))
        named += [(f"{at}.stage[{n}].bundle", stage.bundle) for n, stage in enumerate(pipeline.stage)]
        urls = [(f"{at}.stream[{n}].url", stream.url) for n, stream in enumerate(pipeline.stream)]
        named += [(key, url) for key, url in urls if "://" not in url]
    for key, path in named:
        if _is_missing(path):
            yield f"{key}: no such file: {path}; check the path, or put the file there"


def _is_missing(path: str) -> bool:
    try:
        Path(path).stat()
    except OSError as error:
        # Of a folder that this user may not enter it cannot be said.
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _check_path(path: str, key: str) -> None:
    if not path:
        raise EdgewardError(Code.CONFIG_VALUE, "expected a path", where=key)


def _check_profile(device: Device, where: str) -> None:
    """The profile that is asked for exists, and every file of the site's own is one."""
    library = Library(Path(device.profiles_dir))
    if device.profile:
        library.get(device.profile, where=f"{where}: device.profile")
    else:
        library.all()


def _check_keys(config: Config, where: str) -> None:
    if config.pipeline and not config.trust.release_keys and not _has_key_files(config.trust.folder):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a pipeline needs at least one key that may sign its bundle",
            where=f"{where}: trust.release_keys",
            remedy="name the public key files that you trust, or add one with 'edgeward trust add'",
        )


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


def _pipeline_checks(pipeline: Pipeline, key: str, where: str) -> Iterator[Check]:
    yield partial(_check_path, pipeline.bundle, f"{where}: {key}.bundle")
    yield partial(_check_cpus, pipeline.affinity, f"{where}: {key}.affinity")
    if pipeline.tiling is not None:
        yield partial(_check_tiling, pipeline.tiling, f"{where}: {key}.tiling")
    yield from _unique([item.name for item in pipeline.stage], f"{key}.stage", where)
    for number, stage in enumerate(pipeline.stage):
        yield partial(_check_path, stage.bundle, f"{where}: {key}.stage[{number}].bundle")
    yield from _unique([item.name for item in pipeline.stream], f"{key}.stream", where)
    for number, stream in enumerate(pipeline.stream):
        yield from _stream_checks(stream, f"{where}: {key}.stream[{number}]")


def _engine_checks(engine: Engine, key: str) -> Iterator[Check]:
    yield partial(_check_cpus, engine.affinity, f"{key}.affinity")
    yield partial(_check_providers, engine.providers, f"{key}.providers")
    for index, delegate in enumerate(engine.delegate):
        yield partial(_check_path, delegate.path, f"{key}.delegate[{index}].path")


def _check_providers(providers: tuple[str, ...], key: str) -> None:
    if len(set(providers)) != len(providers):
        raise EdgewardError(
            Code.CONFIG_VALUE,
            "a provider stands there twice",
            where=key,
            remedy="name each once, the one that is wanted most first",
        )


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


def _stream_checks(stream: Stream, key: str) -> Iterator[Check]:
    yield partial(schema.check_stream_url, stream.url, where=f"{key}.url")
    yield partial(_check_login, stream.username, stream.password_file, key)
    yield partial(_check_file_login, stream, f"{key}.username")


def _check_file_login(stream: Stream, key: str) -> None:
    if stream.username and "://" not in stream.url:
        raise EdgewardError(Code.CONFIG_VALUE, "a file takes no user name", where=key)


def _check_login(username: str, password_file: str, key: str) -> None:
    if password_file and not username:
        raise EdgewardError(
            Code.CONFIG_VALUE, "a password needs a user name", where=f"{key}.username", remedy="set it"
        )
    if password_file:
        schema.read_secret(password_file, where=f"{key}.password_file")


def _mqtt_checks(mqtt: Mqtt, key: str) -> Iterator[Check]:
    yield partial(_check_broker_url, mqtt.url, f"{key}.url")
    yield partial(_check_login, mqtt.username, mqtt.password_file, key)
    for name in ("ca_file", "cert_file", "key_file"):
        if getattr(mqtt, name):
            yield partial(_check_tls_file, mqtt, getattr(mqtt, name), f"{key}.{name}")
    yield partial(_check_certificate, mqtt, f"{key}.cert_file")


def _check_broker_url(url: str, key: str) -> None:
    parts = schema.split_url(url, where=key)
    more = parts.path not in {"", "/"} or parts.query or parts.fragment or parts.port == 0
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or more:
        what = "expected mqtt://host:port or mqtts://host:port"
        raise EdgewardError(Code.CONFIG_VALUE, what, where=key)


def _check_tls_file(mqtt: Mqtt, path: str, key: str) -> None:
    # Not mqtt.tls, which cannot take a URL apart that is none.
    if not mqtt.url.lower().startswith("mqtts:"):
        raise EdgewardError(Code.CONFIG_VALUE, "this needs TLS", where=key, remedy="use an mqtts:// URL")
    # Without a file of its own the key is in that of the certificate.
    if path == (mqtt.key_file or mqtt.cert_file):
        check_private(path, where=key)
    elif not Path(path).is_file():
        raise EdgewardError(Code.CONFIG_VALUE, f"no such file: {path}", where=key)


def _check_certificate(mqtt: Mqtt, key: str) -> None:
    if mqtt.key_file and not mqtt.cert_file:
        what = "a key needs its certificate"
        raise EdgewardError(Code.CONFIG_VALUE, what, where=key, remedy="set it")


def _unique(names: list[str], key: str, where: str) -> Iterator[Check]:
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            yield partial(_refuse_name, name, f"{key}[{first}]", f"{where}: {key}[{index}].name")


def _refuse_name(name: str, first: str, key: str) -> None:
    raise EdgewardError(
        Code.CONFIG_VALUE,
        f"the name {name!r} is taken by {first}",
        where=key,
        remedy="give each a name of its own",
    )
