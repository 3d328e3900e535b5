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
        EdgewardError: ``USAGE`` when ``out`` exists and is not an empty folder; ``BUNDLE_*``, ``KEY_*``,
            ``SYSTEM_*``.
    """
    trusted = load_trusted(keys)
    target = out.absolute()
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        remedy = "name a folder that does not exist yet"
        raise EdgewardError(Code.USAGE, "it exists and is not an empty folder", where=str(out), remedy=remedy)
    parent = target.parent
    with archive.open_archive(path) as reader, staging.locked(parent), staging.fresh(parent) as staged:
        verified = archive.verify(reader, trusted, staged)
        staged.publish(target)
        return verified
