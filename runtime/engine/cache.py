"""Where engines keep what they compiled, so that a restart does not take minutes.

What lies in such a folder is run as it is: no signature covers it. So it must be as hard to change as
edgeward itself: nobody but edgeward's own user, and root, may write to it or to a folder above it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from runtime.errors import Code, EdgewardError, from_os_error

# Files that change when the board or its driver does; those that a board lacks count as empty.
_DEVICE = (
    "/proc/driver/nvidia/version",
    "/proc/device-tree/model",
    "/etc/nv_tegra_release",
    "/sys/class/dmi/id/product_name",
)


def folder(root: str, engine: str, *parts: str) -> Path | None:
    """A folder of an engine's for one model on this device and driver; None when nothing is to be kept.

    Args:
        root: the option ``cache_dir``, or empty.
        engine: whose it is.
        parts: what else decides whether a file of it still fits: the model's digest, versions.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when others may write to it; a ``system`` one when it cannot be made.
    """
    if not root:
        return None
    key = hashlib.sha256()
    for part in (*parts, device()):
        key.update(f"{len(part)}:{part}".encode())
    path = Path(root).absolute() / engine / key.hexdigest()[:32]
    try:
        # One by one: with parents=True those above would be made as the umask says.
        for each in (*reversed(path.parents), path):
            if not each.is_dir():
                each.mkdir(mode=0o700, exist_ok=True)
        # From here on by the way that was checked: a link on the way here may be somebody else's.
        path = path.resolve()
        _check(path)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
    return path


def device() -> str:
    """What names this board and its driver, as far as Linux tells."""
    found = []
    for name in _DEVICE:
        try:
            found.append(Path(name).read_text(errors="replace").strip())
        except OSError:
            found.append("")
    return "\n".join(found)


def _check(path: Path) -> None:
    for each in (path, *path.parents):
        status = each.stat()
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        # In a sticky folder, such as /tmp, others may add but neither move nor remove what is not theirs.
        if status.st_uid not in {0, os.geteuid()} or (others and not status.st_mode & stat.S_ISVTX):
            raise EdgewardError(
                Code.CONFIG_VALUE,
                "other users may write here, and what a cache holds is run unverified",
                where=str(each),
                remedy="set cache_dir to a folder that only edgeward's user may write to (mode 0700)",
            )
