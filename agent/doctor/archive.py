"""The archive for support: what helps to find a fault from far away, and nothing that is secret.

A gzipped tar of text files. Every text goes through the redactor; keys, password files, pictures and models
are never opened for it.
"""

from __future__ import annotations

import errno
import gzip
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from agent import config_file, config_text
from agent.control.client import Blocking, Client
from agent.doctor.finding import Report
from agent.doctor.site import Site, environment
from runtime.bundle import replace
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.redact import HIDDEN

MOST_OF_A_FILE = 2 << 20
MOST_ENTRIES = 5000
LINES = 2000
COMMAND_S = 10.0
# ``psk=...``, ``--password ...``, ``"api_key": "..."``, ``Authorization: Bearer ...``.
_NAME = r"(?:passw(?:or)?d|passphrase|passwort|secret|token|api[_-]?key|psk)"
_BY_NAME = re.compile(
    rf"""(?ix)
    ( {_NAME}["']?\s*[=:]\s* | -{_NAME}\s+
    | \bauthorization["']?\s*[=:]\s*["']?(?:(?:basic|bearer|digest)\s+)? )
    (?: "[^"\n]*" | '[^'\n]*' | [^\s"',;&]+ )
    """
)
_FILES = (
    "/etc/os-release",
    "/proc/cmdline",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/uptime",
    "/proc/version",
)
_COMMANDS: dict[str, tuple[str, ...]] = {
    "addresses.txt": ("ip", "-brief", "address"),
    "dmesg.txt": ("dmesg", "--time-format", "iso"),
    "routes.txt": ("ip", "route"),
    "service.txt": ("systemctl", "status", "--no-pager", "--full", "edgeward.service"),
    "time.txt": ("timedatectl",),
    "journal.txt": (
        "journalctl",
        "--unit=edgeward",
        "--no-pager",
        "--output=short-iso",
        f"--lines={LINES}",
    ),
}


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target before anything is looked at.

    Raises:
        EdgewardError: ``USAGE`` when something is there, ``SYSTEM_*`` when the folder cannot be written to.
    """
    if os.path.lexists(path) and not force:
        remedy = "choose another name, or write over it with --force"
        raise EdgewardError(Code.USAGE, "there is a file already", where=str(path), remedy=remedy)
    if path.is_dir():
        raise EdgewardError(Code.USAGE, "this is a folder", where=str(path), remedy="name a file in it")
    replace.check_target(path)
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        missing = not path.absolute().parent.is_dir()
        error = (
            OSError(errno.ENOENT, "no such folder") if missing else OSError(errno.EACCES, "permission denied")
        )
        raise from_os_error(error, where=str(path.absolute().parent), fallback=Code.SYSTEM_IO)


def write(path: Path, site: Site, reports: Sequence[Report], *, force: bool) -> None:
    """Gather everything and write the archive, for its owner only, all of it or nothing.

    Raises:
        EdgewardError: as ``check_target``.
    """
    check_target(path, force=force)
    name = f"edgeward-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    gathered = contents(site, reports)
    try:
        with replace.replacing(path, mode=0o600) as stream:
            stream.write(_packed(name, gathered))
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error


def _packed(name: str, files: Sequence[tuple[str, str]]) -> bytes:
    """A gzipped tar with these texts in the folder ``name``."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member, text in files:
            _add(archive, f"{name}/{member}", text)
    return packed.getvalue()


def contents(site: Site, reports: Sequence[Report]) -> list[tuple[str, str]]:
    """Name and text of each file, without secrets."""
    found = [
        ("README.txt", _README),
        ("doctor.json", _json([msgspec.to_builtins(report) for report in reports], site)),
        ("versions.json", _json(_versions(), site)),
    ]
    if site.config is not None:
        document: dict[str, Any] = _clean(config_file.effective(site.config), site)
        found.append(("configuration.toml", config_text.to_toml(document)))
        found.append(("state.txt", site.redactor(_in_time(lambda: _listing(site.state_dir)))))
    texts = {f"system{path}": site.read(path) for path in _FILES}
    texts |= {name: _said(command) for name, command in _COMMANDS.items()}
    found += [(name, _hide_named(site.redactor(text))) for name, text in texts.items() if text]
    if site.status is not None:
        found += _of_the_agent(site)
    return found


def _of_the_agent(site: Site) -> list[tuple[str, str]]:
    """Status, health, metrics, events and log of the running agent; what it does not give is left out."""
    asked: dict[str, Callable[[Blocking], str]] = {
        "status.json": lambda agent: _json(_plain(agent.run(Client.get_status)), site),
        "health.json": lambda agent: _json(_plain(agent.run(Client.get_health)), site),
        "metrics.txt": lambda agent: site.redactor(agent.run(Client.get_metrics)),
        "bundles.json": lambda agent: _json(_plain(agent.run(Client.list_bundles)), site),
        "events.jsonl": lambda agent: _lines(
            agent.each(lambda client: client.get_events(recent=LINES)), site
        ),
        "log.jsonl": lambda agent: _lines(agent.each(lambda client: client.get_logs(recent=LINES)), site),
    }
    found = []
    with Blocking(site.socket) as agent:
        for name, ask in asked.items():
            try:
                found.append((name, ask(agent)))
            except EdgewardError as error:
                found.append((f"{name}.error.txt", f"{site.clean(error)}\n"))
    return found


def _plain(message: Any) -> Any:
    """A message of the control interface as plain data."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - for archives only

    return MessageToDict(message, preserving_proto_field_name=True)


def _lines(messages: Iterator[Any], site: Site) -> str:
    lines = (_clean(_plain(message), site) for message in islice(messages, LINES))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _clean(value: Any, site: Site) -> Any:
    """Every text in plain data without secrets; not the JSON text of it, which could lose a quote by that."""
    if isinstance(value, str):
        return site.redactor(value)
    if isinstance(value, dict):
        return {name: _clean(inner, site) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner, site) for inner in value]
    return value


def _versions() -> dict[str, Any]:
    packages = {
        item.metadata["Name"]: item.version
        for item in importlib.metadata.distributions()
        if item.metadata["Name"]
    }
    return {
        "python": sys.version,
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items())),
    }


def _listing(folder: Path) -> str:
    """Names, sizes, rights and times of what lies in the state folder; no contents."""
    lines = []
    for path in islice(sorted(folder.rglob("*")), MOST_ENTRIES):
        try:
            status = path.lstat()
        except OSError:
            continue
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
        name = path.relative_to(folder)
        lines.append(
            f"{status.st_mode:06o} {status.st_uid}:{status.st_gid} {status.st_size:>12} {when} {name}"
        )
    return "\n".join([str(folder), *lines]) + "\n"


def _said(command: Sequence[str]) -> str:
    """What a command of the system prints; empty when there is none, or nothing that this user may read."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def _in_time(ask: Callable[[], str]) -> str:
    """What ``ask`` says, unless a disk that hangs keeps it: nobody waits for its thread."""
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(ask()), name="archive", daemon=True)
    thread.start()
    thread.join(COMMAND_S)
    return said[0] if said else f"no answer within {COMMAND_S:g} s\n"


def _hide_named(text: str) -> str:
    """Logs and command lines are written by others too, who know no redactor."""
    return _BY_NAME.sub(rf"\g<1>{HIDDEN}", text)


def _json(value: Any, site: Site) -> str:
    return json.dumps(_clean(value, site), indent=2, ensure_ascii=False) + "\n"


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    """The end of a text that is too long: what happened last is what matters."""
    data = text.encode("utf-8", "replace")
    if len(data) > MOST_OF_A_FILE:
        cut = f"[the first {len(data) - MOST_OF_A_FILE} bytes were left out]\n".encode()
        data = cut + data[-MOST_OF_A_FILE:]
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), 0o600, int(time.time())
    archive.addfile(member, io.BytesIO(data))


_README = """\
Made by 'edgeward doctor --bundle', for whoever is to help with this device.

Passwords were taken out; keys, pictures and models were never put in. Host names, addresses,
user names and the names of cameras are in it: look through it before it is given away.

doctor.json         what each probe found
configuration.toml  the configuration with all defaults
state.txt           what lies in the state folder, without its contents
status.json, health.json, metrics.txt, events.jsonl, log.jsonl  of the running agent
journal.txt, dmesg.txt, service.txt  of the system, as far as the user could read them
"""
