"""Do secrets stay secret, and can nobody but root change what the device does?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.mend import as_root
from agent.doctor.site import Site
from runtime.errors import Code

MEANING = (
    "files with passwords and private keys are for edgeward only, and nobody else writes the configuration"
)
NEEDS = ("configuration",)


def probe(site: Site) -> list[Finding]:
    """Rights of the configuration, of password files and of the private key for the broker."""
    found = [finding for path in _written_by_root(site) if (finding := _writable(path)) is not None]
    for key, path in _secrets(site):
        found += _readable(key, path, site)
    return found or [ok("nobody else can read a secret or change the configuration")]


def _written_by_root(site: Site) -> Iterator[Path]:
    yield site.file
    yield site.file.absolute().parent


def _secrets(site: Site) -> Iterator[tuple[str, str]]:
    mqtt = site.known.mqtt
    yield "mqtt.password_file", mqtt.password_file
    yield "mqtt.key_file", mqtt.key_file
    for pipeline, stream in site.streams():
        yield f"password_file of {pipeline.name}/{stream.name}", stream.password_file


def _writable(path: Path) -> Finding | None:
    try:
        status = path.stat()
    except OSError:
        return None  # told by the probe of the configuration
    # A sticky folder (/tmp) lets nobody replace what is another's.
    others = status.st_mode & stat.S_IWOTH and not (path.is_dir() and status.st_mode & stat.S_ISVTX)
    if not others:
        return None
    return Finding(
        result="fail",
        text="everybody on this machine can change it",
        subject=str(path),
        code=Code.TRUST_WRITABLE.text,
        remedy="take that right away",
        command=quoted("sudo", "chmod", "o-w", path.absolute()),
    )


def _readable(key: str, name: str, site: Site) -> list[Finding]:
    if not name or name.startswith("credential:"):
        return []
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except OSError:
        return []  # a missing file is an error of the configuration, and told there
    if mode & 0o007:
        return [
            Finding(
                result="fail",
                text=f"everybody on this machine can read the {key}",
                subject=name,
                code=Code.CONFIG_VALUE.text,
                remedy="take that right away, and change the secret if others may have seen it",
                command=quoted("sudo", "chmod", "o-rwx", path),
            )
        ]
    if not os.access(path, os.R_OK):
        return [
            Finding(
                result="warn",
                text=f"this user cannot read the {key}: whether edgeward's can is not known",
                subject=name,
                code=Code.SYSTEM_PERMISSION.text,
                remedy="run the doctor as root, or as the user that edgeward runs as",
                command=as_root(site),
            )
        ]
    return []
