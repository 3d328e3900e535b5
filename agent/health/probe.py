"""Asks disk and kernel what may take its time to answer, in a thread that nobody waits for.

A dying flash card or a network file system that has gone does not fail, it hangs, in a place that no
signal reaches. Asked on the event loop it would stop supervision; here it only makes the answers old, which
is itself a finding, and in the end one for the watchdog. Figures of a file system come from memory and say
nothing of its disk: so a block is written, too.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agent.device.pressure import memory_pressure
from agent.device.profile import Driver
from agent.health.certificates import CertificateReader
from agent.health.store import StoreMarks
from agent.health.view import CertificateFacts

log = logging.getLogger("health")

# Disk and memory; what seldom changes is asked every so many rounds.
ROUND_S = 4.0
SLOW_ROUNDS = 15
# An answer older than this did not come: a round takes milliseconds.
STALE_S = 20.0
# How long the disk may be silent before the watchdog is not fed any more.
LIMIT_S = 150.0
_ALIVE = "alive"
_VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A file system: MB are of 2^20 bytes; zeros when it cannot be read."""

    free_mb: int = 0
    total_mb: int = 0
    inodes_free_percent: float | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was told at ``at_s`` (monotonic). ``drivers`` holds versions, empty for one that is not there.

    ``write_fault`` says why the state folder took no write; that it is full or read-only is told by ``disk``.
    """

    at_s: float
    disk: Disk
    write_fault: str = ""
    memory_free_percent: float
    memory_pressure: float | None
    load_per_cpu: float
    certificates: Mapping[str, CertificateFacts] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)
    store_faults: Mapping[str, str] = field(default_factory=dict)


class Probe:
    """``latest`` is what is known, ``None`` before the first round; ``drivers`` are those to look for."""

    def __init__(
        self,
        state_dir: Path,
        *,
        certificates: Sequence[Path] = (),
        on_first: Callable[[], None] = lambda: None,
    ) -> None:
        self.latest: Answers | None = None
        self._state_dir = state_dir
        self.drivers: Sequence[Driver] = ()
        self._on_first = on_first
        self._certificates = CertificateReader(certificates)
        self.marks = StoreMarks(state_dir / "bundles")
        self._seldom: tuple[Mapping[str, CertificateFacts], Mapping[str, str]] = ({}, {})
        self._write_fault = ""
        # Of the last round that ended, however it did; of the start before the first.
        self.ended_s = self._began_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; does not wait for an answer that may never come."""
        self._stop.set()

    def answers_still(self, now_s: float) -> bool:
        """Whether the last round ended lately; of the first one it is assumed for a while."""
        latest = self.latest
        return now_s - (latest.at_s if latest else self._began_s) < STALE_S

    def ask(self, *, seldom: bool = True) -> Answers:
        """One round, in the caller's thread; ``seldom`` with what rarely changes."""
        if seldom:
            self._seldom = (
                self._certificates.read(),
                {each.name: driver_version(each) for each in self.drivers},
            )
            self._write_fault = write_block(self._state_dir)
        memory, pressure = psutil.virtual_memory(), memory_pressure(Path("/"), over_s=60)
        return Answers(
            disk=disk(self._state_dir),
            write_fault=self._write_fault,
            memory_free_percent=100.0 * memory.available / memory.total,
            memory_pressure=pressure.full if pressure else None,
            load_per_cpu=os.getloadavg()[1] / (os.cpu_count() or 1),
            certificates=self._seldom[0],
            drivers=self._seldom[1],
            store_faults=self.marks.look() if seldom else self.marks.faults,
            at_s=time.monotonic(),
        )

    def _run(self) -> None:
        turn = 0
        while not self._stop.is_set():
            # The first round without what takes long: a start is to show its health at once.
            try:
                answers = self.ask(seldom=turn % SLOW_ROUNDS == 1)
            except Exception:
                log.exception("the device cannot be asked how it is")
            else:
                first, self.latest = self.latest is None, answers
                if first:
                    self._on_first()
            self.ended_s = time.monotonic()
            turn += 1
            self._stop.wait(ROUND_S)


def disk(folder: Path) -> Disk:
    """The file system of ``folder``."""
    with contextlib.suppress(OSError):
        told = os.statvfs(folder)
        return Disk(
            free_mb=told.f_bavail * told.f_frsize >> 20,
            total_mb=told.f_blocks * told.f_frsize >> 20,
            inodes_free_percent=100.0 * told.f_favail / told.f_files if told.f_files else None,
            read_only=bool(told.f_flag & os.ST_RDONLY),
        )
    return Disk()


def write_block(folder: Path) -> str:
    """Write one block to ``folder``, down to the disk; why it took none, empty when it did."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(folder / _ALIVE, flags, 0o640)
        try:
            # In place and of one size: the file system writes this block and no journal. Once a minute is
            # what a card bears for decades.
            os.pwrite(file, f"{time.time():20.3f}\n".encode("ascii"), 0)
            os.fdatasync(file)
        finally:
            os.close(file)
    except OSError as error:
        return "" if error.errno in {errno.ENOSPC, errno.EROFS} else error.strerror or str(error)
    return ""


def driver_version(driver: Driver) -> str:
    """What the first of the driver's files that is there says; ``?`` when that is no version, else empty."""
    for path in driver.files:
        with contextlib.suppress(OSError):
            with Path(path).open("rb") as file:
                found = _VERSION.search(file.read(4096).decode("utf-8", "replace"))
            return found[0] if found else "?"
        if os.path.exists(path):  # noqa: PTH110 - Path.exists raises where it may not look, as in debugfs
            return "?"
    return ""


def kernel() -> str:
    """``6.1.0-18-arm64``."""
    return platform.release()
