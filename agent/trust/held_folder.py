"""Makes the folders of what a device trusts, and holds one for a process that changes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.bundle import file_lock
from runtime.errors import Code, from_os_error

LOCK_NAME = ".lock"
LOCK_WAIT_S = 10.0


def make(folder: Path, *, mode: int) -> None:
    """Make a folder with just this mode, and those above it that are missing with 0755, whatever the umask.

    A stricter umask would keep the agent from reading what root trusts, a laxer one let others change it.

    Raises:
        EdgewardError: ``SYSTEM_*``.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
            path.chmod(mode if path == folder else 0o755)
    except OSError as error:
        raise from_os_error(error, where=str(folder), fallback=Code.SYSTEM_IO) from error


@contextmanager
def held(folder: Path, *, by_file: bool) -> Iterator[None]:
    """While the block lasts, no other process that asks for the same changes what lies in ``folder``.

    Args:
        folder: it is there.
        by_file: whether a file in it (0600) is locked, for a folder that everybody may read: whoever can open
            something can lock it, and nobody else is to keep an owner from removing a key. Without it the
            folder itself is, for one that its owner and root share.

    Raises:
        EdgewardError: ``SYSTEM_BUSY`` when another one holds it for longer than ten seconds; ``SYSTEM_IO``
            where a file system has no locks; other ``SYSTEM_*``.
    """
    path, flags = folder, os.O_RDONLY | os.O_DIRECTORY
    if by_file:
        path, flags = folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
    try:
        file_lock.lock(descriptor, folder, wait_s=LOCK_WAIT_S, busy="another process is changing it")
        yield
    finally:
        os.close(descriptor)
