"""Makes the site: as much of the configuration as can be understood, and the secrets that must not leave."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from agent import config_file, secret_files
from agent.config import MAX_SECRET_BYTES, Config, read_secret
from agent.control.client import socket_path
from agent.doctor.site import Site
from runtime.errors import EdgewardError

_NAMED = re.compile(r"""(?i)\b(\w*(?:pass|secret|token|key)\w*)\s*=\s*["']([^"'\n]+)""")


def site_of(file: Path, scratch: Path, *, root: Path = Path("/"), socket: str | None = None) -> Site:
    """The site of a configuration file; ``Site.config`` is None when nothing can be made of it."""
    try:
        config = config_file.load(file, to_run=False)
        secrets = list(_secrets(config))
    except EdgewardError:
        config = None  # told by the probe of the configuration
        secrets = list(_in_text(file))
    configured = config.control.socket if config is not None else None
    site = Site(
        file=file,
        socket=socket_path(socket or configured) if configured != "" or socket else Path(),
        scratch=scratch,
        root=root,
        config=config,
    )
    for secret in secrets:
        site.redactor.learn(secret)
    return site


def _secrets(config: Config) -> Iterator[str]:
    """Every password that the configuration names, as far as this user may read it."""
    files = [config.mqtt.password_file]
    files += [stream.password_file for pipeline in config.pipeline for stream in pipeline.stream]
    for file in files:
        try:
            if file:
                yield read_secret(file, where=file)
        except EdgewardError:
            # Readable by everybody is refused too, and still a secret.
            yield from _lines(file)


def _in_text(file: Path) -> Iterator[str]:
    """What may be a secret in a file that cannot be understood: what is called so, and what it names."""
    for key, value in _NAMED.findall(_text(str(file), config_file.MAX_BYTES)):
        if key.lower().endswith("file"):
            yield from _lines(_named(value, file))
        else:
            yield value


def _named(value: str, file: Path) -> str:
    if value.startswith(secret_files.PREFIX):
        with contextlib.suppress(EdgewardError):
            return secret_files.located(value, where=str(file))
    return str(file.absolute().parent / value)


def _lines(path: str) -> list[str]:
    """What a password file holds, whoever may read it."""
    return _text(path, MAX_SECRET_BYTES).splitlines()


def _text(path: str, most: int) -> str:
    """The beginning of a plain file, empty if it cannot be read. Neither a FIFO nor a device holds it up."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return os.read(file, most).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(file)
