"""Core dumps of workers: taken out of their scratch folders, named after the bundle, and few.

The kernel writes them where ``/proc/sys/kernel/core_pattern`` says (core(5)). Into the working directory:
then they are collected. To a program, as systemd-coredump: that has them. Anywhere else they would fill a
disk that nobody watches: then a worker leaves none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from pathlib import Path

from agent.trust import held_folder
from runtime.errors import EdgewardError

log = logging.getLogger("pipeline")

PATTERN = Path("/proc/sys/kernel/core_pattern")
_MB = 1 << 20


class Cores:
    """The folder of core dumps, of which ``most`` are kept, of ``max_mb`` together."""

    def __init__(self, folder: Path, *, most: int, max_mb: int, pattern: Path = PATTERN) -> None:
        self._folder = folder
        self._most = most
        self._max_bytes = max_mb * _MB
        self._pattern = pattern

    @property
    def bytes_allowed(self) -> int:
        """What a worker's core dump may have; 0 where none is to be made."""
        where = self._where()
        return self._max_bytes if self._most and (where == "here" or where.startswith("|")) else 0

    def collect(self, scratch: Path, *, name: str, version: str, ended_by: str) -> str:
        """Take the core dump of a dead worker out of its scratch folder; returns where it is, in words.

        Args:
            scratch: the worker's working directory.
            name: of the bundle, and ``version``.
            version: of the bundle.
            ended_by: ``SIGSEGV``.
        """
        where = self._where() if self._most else ""
        if where.startswith("|"):
            program = where[1:].split()[0].rsplit("/", 1)[-1] if where[1:].split() else "a program"
            return "'coredumpctl list' shows it" if program == "systemd-coredump" else f"{program} has it"
        if where != "here":
            return ""
        found = [path for path in scratch.glob("*core*") if path.is_file() and not path.is_symlink()]
        newest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
        if newest is None:
            return ""
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target = self._folder / f"{_safe(name)}-{_safe(version)}-{when}-{_safe(ended_by)}.core"
        try:
            held_folder.make(self._folder, mode=0o700)
            newest.chmod(0o600)
            newest.rename(target)
            self._tidy()
        except (EdgewardError, OSError) as error:
            log.warning("a core dump cannot be kept: %s", error)
            return ""
        return str(target) if target.exists() else "it was larger than supervision.core_max_mb"

    def _tidy(self) -> None:
        """The oldest go, until the rest are few and small enough."""
        cores = sorted(self._folder.glob("*.core"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        kept: list[int] = []
        for path in cores:
            # What it takes on the disk: a core dump has holes.
            size = path.stat().st_blocks * 512
            if len(kept) < self._most and sum(kept) + size <= self._max_bytes:
                kept.append(size)
            else:
                path.unlink()

    def _where(self) -> str:
        """``here`` for the working directory, ``|PROGRAM``, or a path elsewhere."""
        with contextlib.suppress(OSError):
            pattern = self._pattern.read_text("utf-8", "replace").strip()
            if pattern.startswith("|"):
                return pattern
            # Without the process number two threads' dumps could meet; the folder has one worker only.
            return "here" if "/" not in pattern and "core" in pattern else pattern
        return ""


def empty(scratch: Path) -> None:
    """Make a worker's scratch folder, and remove what its last worker left there.

    Raises:
        EdgewardError: ``SYSTEM_*`` when it cannot be made.
    """
    held_folder.make(scratch, mode=0o700)
    for root, folders, files in os.walk(scratch, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                (Path(root) / name).unlink()
        for name in folders:
            with contextlib.suppress(OSError):
                path = Path(root) / name
                path.unlink() if path.is_symlink() else path.rmdir()


def _safe(text: str) -> str:
    """Fit for a file's name."""
    return re.sub(r"[^A-Za-z0-9._+]+", "_", text)[:64] or "unknown"
