"""Writes the rollback floors: raised when a bundle has run, lowered by a person only.

``runtime.bundle.floors`` is the format and reads it, in the child that verifies bundles too.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runtime.bundle import floors
from runtime.bundle.floors import Floor
from runtime.bundle.policy import check_floor
from runtime.bundle.replace import replacing
from runtime.bundle.staging import sync_folder
from runtime.errors import Code, EdgewardError, from_os_error

LOCK_WAIT_S = 10.0


def path_in(state_dir: Path) -> Path:
    """Where the floors of a device lie: beside the store of bundles, not in it."""
    return state_dir / "trust" / "floors.json"


def raise_to(path: Path, name: str, counter: int, digest: str) -> bool:
    """Remember that release ``counter`` of the bundle ``name`` has run here; a floor is never lowered.

    Args:
        path: the file with the floors; made when missing, with its folder.
        name: the bundle's.
        counter: its release counter.
        digest: its identity, in hexadecimal.

    Returns:
        Whether the file had to change.

    Raises:
        EdgewardError: ``BUNDLE_COUNTER_REUSED`` when another bundle has run under that counter;
            ``TRUST_FLOORS``, ``TRUST_WRITABLE`` or ``SYSTEM_*`` when the file cannot be used.
    """
    with _locked(path):
        known = floors.load(path)
        floor = known.get(name)
        if floor is not None and counter < floor.counter:
            return False
        check_floor(name, counter, digest, floor, where=str(path))
        new = Floor(counter=counter, digest=digest)
        if floor == new:
            return False
        _write(path, {**known, name: new})
        return True


def lower(path: Path, name: str, counter: int) -> Floor:
    """Let releases of ``name`` from ``counter`` on run again; returns the floor that was.

    Whichever bundle comes first with just that counter is the one from then on.

    Raises:
        EdgewardError: ``USAGE`` when there is no such floor or it is not higher; as ``raise_to``.
    """
    with _locked(path):
        floor = check_lower(path, name, counter)
        _write(path, {**floors.load(path), name: Floor(counter=counter, digest="")})
        return floor


def check_lower(path: Path, name: str, counter: int) -> Floor:
    """The floor that ``lower`` would lower, without doing it; raises as ``lower``."""
    known = floors.load(path)
    floor = known.get(name)
    if floor is None:
        there = ", ".join(sorted(known)) or "none"
        raise EdgewardError(Code.USAGE, f"no floor for {name!r}", where=str(path), remedy=f"there is {there}")
    if counter > floor.counter or (counter == floor.counter and not floor.digest):
        what = f"the floor of {name!r} is {floor.counter} already"
        remedy = "floors rise by themselves, when a newer release has run"
        raise EdgewardError(Code.USAGE, what, where=str(path), remedy=remedy)
    return floor


def reset(path: Path) -> Path | None:
    """Begin anew without floors; returns where the old file lies now, ``None`` when there was none.

    Raises:
        EdgewardError: ``SYSTEM_*``.
    """
    with _locked(path):
        if not floors.is_there(path):
            return None
        aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        try:
            path.rename(aside)
            sync_folder(path.parent)
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
        _write(path, {})
        return aside


def _write(path: Path, known: Mapping[str, Floor]) -> None:
    with replacing(path) as stream:
        stream.write(floors.encode(known))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Between reading and writing nobody else does: the agent and a person at the command line."""
    folder = path.parent
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.SYSTEM_IO) from error
    try:
        lock_folder(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def lock_folder(descriptor: int, folder: Path) -> None:
    """Hold a folder for this process until ``descriptor`` is closed.

    Raises:
        EdgewardError: ``SYSTEM_BUSY`` when another one holds it for longer than ten seconds; ``SYSTEM_IO``
            where a file system has no locks.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                what, remedy = "another process is changing it", "try again when it is done, or end it"
                raise EdgewardError(Code.SYSTEM_BUSY, what, where=str(folder), remedy=remedy) from error
            time.sleep(0.02)
        except OSError as error:
            raise from_os_error(error, where=str(folder), fallback=Code.SYSTEM_IO) from error
        else:
            return
