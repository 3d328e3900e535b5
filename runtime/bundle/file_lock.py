"""Waits for a lock that a process holds on a file or folder; the kernel lets go of it however that ends."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from runtime.errors import Code, EdgewardError, from_os_error

_LOOK_EVERY_S = 0.02


def lock(descriptor: int, where: Path, *, wait_s: float, busy: str) -> None:
    """Lock what ``descriptor`` has open; it is free again once that is closed.

    flock(2) cannot wait for a time: it is tried again and again.

    Args:
        descriptor: of a file or folder.
        where: what is locked, for errors.
        wait_s: seconds to wait for another process.
        busy: what that one is doing, for the error.

    Raises:
        EdgewardError: ``SYSTEM_BUSY`` after ``wait_s``; ``SYSTEM_IO`` where a file system has no locks.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                remedy = "try again when it is done, or end it"
                raise EdgewardError(Code.SYSTEM_BUSY, busy, where=str(where), remedy=remedy) from error
        except OSError as error:
            raise from_os_error(error, where=str(where), fallback=Code.SYSTEM_IO) from error
        else:
            return
        time.sleep(_LOOK_EVERY_S)
