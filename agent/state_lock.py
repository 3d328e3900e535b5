"""One agent per state folder: a lock that the kernel lets go of, however the agent ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

from runtime.errors import Code, EdgewardError, from_os_error

LOCK_NAME = "agent.lock"


class StateLock:
    """Context manager; creates the folder where it is missing."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / LOCK_NAME
        self._fd = -1

    def __enter__(self) -> StateLock:
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        except OSError as error:
            raise from_os_error(error, where=str(self._path), fallback=Code.SYSTEM_IO) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise EdgewardError(
                Code.SYSTEM_BUSY,
                f"another agent (process {owner or 'unknown'}) uses this state folder",
                where=str(self._path.parent),
                remedy="stop it, or give this one a device.state_dir of its own",
            ) from error
        # Only said to whoever is refused: on a full disk the agent must start all the same. In place and of
        # one size, so that a file that is there needs no new block.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, f"{os.getpid():<15}\n".encode("ascii"), 0)
            os.ftruncate(self._fd, 16)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: removing it could take the lock of the next agent away from under it.
        os.close(self._fd)
