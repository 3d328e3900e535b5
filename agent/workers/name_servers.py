"""Notices that the system's list of name servers is another file than the one that a worker may read.

Landlock allows files, not names: a worker that was confined before ``/etc/resolv.conf`` was replaced cannot
read the new one, and its cameras would no longer be found by name.
"""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from agent import config as schema

LOOK_EVERY_NS = 5_000_000_000
RESOLV_CONF = Path("/etc/resolv.conf")


class NameServers:
    """Looks at the file every five seconds."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._seen = self._file()
        self._next_look_ns = 0

    def replaced(self, now_ns: int) -> bool:
        """Whether another file lies there since the last look, not below a folder that workers may read."""
        if now_ns < self._next_look_ns:
            return False
        self._next_look_ns = now_ns + LOOK_EVERY_NS
        before, now = self._seen, self._file()
        if now is None:
            return False  # in the middle of being replaced
        self._seen = now
        return before != now and now[0] == self._path.parent

    def _file(self) -> tuple[Path, int, int] | None:
        with contextlib.suppress(OSError):
            path = self._path.resolve()
            status = path.stat()
            return path.parent, status.st_dev, status.st_ino
        return None


def needs_names(pipeline: schema.Pipeline) -> bool:
    """Whether a stream of it names its host, so that it must be looked up."""
    return any(_has_name(urlsplit(stream.url).hostname) for stream in pipeline.stream if "://" in stream.url)


def _has_name(host: str | None) -> bool:
    if not host or host == "localhost":
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
