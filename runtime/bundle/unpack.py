"""Unpacks a verified bundle into a folder that the caller names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.bundle import archive, staging
from runtime.bundle.archive import Verified
from runtime.bundle.keys import load_trusted
from runtime.errors import Code, EdgewardError


def unpack(path: Path, keys: Sequence[Path], out: Path) -> Verified:
    """Verify the bundle and put its files into the new folder ``out``; all of them or none.

    Raises:
        EdgewardError: ``USAGE`` when ``out`` exists and is not an empty folder, or is the current one;
            ``BUNDLE_*``, ``KEY_*``, ``SYSTEM_*``.
    """
    trusted = load_trusted(keys)
    target = out.absolute()
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise staging.taken(out)
    if target.name == ".." or (target.exists() and target.samefile(Path.cwd())):
        # The new folder takes the place of an empty one, and nobody should work on in one that is gone.
        what, remedy = "it is no new folder", "name a folder that does not exist yet"
        raise EdgewardError(Code.USAGE, what, where=str(out), remedy=remedy)
    parent = target.parent
    with (
        archive.open_archive(path) as reader,
        staging.folders_for(parent),
        staging.locked(parent, wait_s=10.0),
    ):
        front = archive.verify_front(reader, trusted)
        with staging.fresh(parent, needed=front.stored_bytes) as staged:
            archive.verify_rest(reader, front, staged)
            staged.publish(target, replace=False)
        return front.verified
