"""What preflight found, kept on disk, so that a restart does not find it again.

A record is good for one bundle, one way to run it and one state of this device: its key is a hash of all that
could change the answer. What is not in the key is what nobody can tell cheaply: a driver below an engine's
package, a heat sink that fell off.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import platform
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from agent.file_mark import mark
from agent.preflight.check import Settings
from agent.preflight.report import Report
from runtime import ipc
from runtime.bundle.replace import NewFile, write_together
from runtime.errors import EdgewardError

log = logging.getLogger("preflight")

MAX_BYTES = 8 << 20  # a hundred variants that all have a lot to say
MAX_RECORDS = 64
_INSTALLED = {".dist-info", ".egg-info"}


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One file.

    Attributes:
        digest: of the bundle.
        key: see ``key_of``.
        at: wall time in seconds, when it was made. It ages refusals only: a wrong clock costs a preflight.
        attempt: how many times in a row it was tried.
        stands_s: how long a refusal stands.
        report: what was found.
    """

    format: Literal[1] = 1
    digest: str
    key: str
    at: float
    attempt: int
    stands_s: float
    report: Report

    @classmethod
    def made_now(cls, digest: str, key: str, report: Report, *, attempt: int, stands_s: float) -> Record:
        """With the time of now."""
        return cls(digest=digest, key=key, at=time.time(), attempt=attempt, stands_s=stands_s, report=report)

    def stands(self, at_most_s: float) -> bool:
        """Whether it still counts: always when a variant passed, else for ``at_most_s`` seconds at most."""
        return bool(self.report.chosen) or 0 <= time.time() - self.at < min(self.stands_s, at_most_s)


def key_of(engine: ipc.EngineOptions, settings: Settings, max_batch: int) -> str:
    """What makes a record stale, as 16 hexadecimal digits.

    Engine options, the files of delegates, what is asked of a variant, pictures at a time, the packages that
    are installed with their versions (engines and edgeward among them), Python, the kernel and the kind of
    machine.
    """
    parts = (
        msgspec.json.encode(engine, order="sorted"),
        repr([mark(Path(delegate.path)) for delegate in engine.delegates]).encode(),
        repr(settings).encode(),
        str(max_batch).encode(),
        "\n".join(_packages()).encode(),
        sys.version.encode(),
        f"{platform.machine()} {platform.release()} {platform.version()}".encode(),
    )
    joined = b"\0".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


def _packages() -> list[str]:
    """``name-version`` of all that is installed, by the names of the folders that pip leaves."""
    found = {f"edgeward-{_own_version()}"}
    for entry in sys.path:
        with contextlib.suppress(OSError):  # a path that is not there
            found.update(path.name for path in Path(entry or ".").iterdir() if path.suffix in _INSTALLED)
    return sorted(found)


def _own_version() -> str:
    try:
        return importlib.metadata.version("edgeward")
    except importlib.metadata.PackageNotFoundError:
        return "0"


class Records:
    """The folder of records, ``<digest>-<key>.json``, of which the newest are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, digest: str, key: str) -> Record | None:
        """The record, whether or not it still stands; a damaged one is told, and is as good as none."""
        path = self._path(digest, key)
        try:
            with path.open("rb") as file:
                record = msgspec.json.decode(file.read(MAX_BYTES), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("%s is damaged (%s): preflight runs again", path, error)
            return None
        if (record.digest, record.key, record.report.digest) != (digest, key, digest):
            log.warning("%s is about another bundle: preflight runs again", path)
            return None
        if not record.report.follows:
            log.warning("%s says what does not follow from its figures: preflight runs again", path)
            return None
        return record

    def write(self, record: Record) -> None:
        """Keep it; a disk that is full costs a preflight after the next restart, and nothing else."""
        path = self._path(record.digest, record.key)
        data = msgspec.json.format(msgspec.json.encode(record)) + b"\n"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_together([NewFile(path, data, 0o600)], replace=True)
            self._tidy()
        except (EdgewardError, OSError) as error:
            log.warning("what preflight found cannot be kept: %s", error)

    def _path(self, digest: str, key: str) -> Path:
        return self._folder / f"{digest}-{key}.json"

    def _tidy(self) -> None:
        records = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in records[:-MAX_RECORDS]:
            path.unlink(missing_ok=True)
