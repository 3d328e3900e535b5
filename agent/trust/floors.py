"""Writes the rollback floors: raised when a bundle has run, lowered by a person only.

``runtime.bundle.floors`` is the format and reads it, in the child that verifies bundles too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from agent.trust import held_folder
from runtime.bundle import floors
from runtime.bundle.floors import Floor
from runtime.bundle.policy import check_floor
from runtime.bundle.replace import replacing
from runtime.bundle.staging import sync_folder
from runtime.errors import Code, EdgewardError, from_os_error


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
        EdgewardError: ``BUNDLE_ROLLBACK`` when a newer release has run meanwhile, ``BUNDLE_COUNTER_REUSED``
            when another bundle has under that counter; ``TRUST_FLOORS``, ``TRUST_WRITABLE`` or ``SYSTEM_*``
            when the file cannot be used.
    """
    # The agent's own, and root's: nobody else may look in, or lock it.
    held_folder.make(path.parent, mode=0o700)
    with held_folder.held(path.parent, by_file=False):
        known = floors.load(path)
        floor = known.get(name)
        check_floor(name, counter, digest, floor, where=str(path))
        new = Floor(counter=counter, digest=digest)
        if floor == new:
            return False
        _write(path, {**known, name: new})
        return True


def lower(path: Path, name: str, counter: int, *, was: Floor | None = None) -> Floor:
    """Let releases of ``name`` from ``counter`` on run again; returns the floor that was.

    Whichever bundle comes first with just that counter is the one from then on. ``was`` is the floor for
    which somebody has said yes to this.

    Raises:
        EdgewardError: ``USAGE`` when there is no such floor or it is not higher; ``SYSTEM_BUSY`` when it is
            not ``was`` any more; as ``raise_to``.
    """
    check_lower(path, name, counter)
    with held_folder.held(path.parent, by_file=False):
        floor = check_lower(path, name, counter)
        if was not in {None, floor}:
            what, remedy = f"the floor of {name!r} has changed meanwhile", "look at it and try again"
            raise EdgewardError(Code.SYSTEM_BUSY, what, where=str(path), remedy=remedy)
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
    # Made here the folder would be root's, and the agent could not write the first floor into it.
    if not floors.is_there(path):
        return None
    with held_folder.held(path.parent, by_file=False):
        if not floors.is_there(path):
            return None
        aside = _free_name(path)
        try:
            path.rename(aside)
            sync_folder(path.parent)
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
        _write(path, {})
        return aside


def _free_name(path: Path) -> Path:
    """With the time in it; nothing that was set aside before is written over."""
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number, found = 1, path.with_name(f"{path.name}.{when}")
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.{when}-{number}")
    return found


def _write(path: Path, known: Mapping[str, Floor]) -> None:
    with replacing(path) as stream:
        stream.write(floors.encode(known))
