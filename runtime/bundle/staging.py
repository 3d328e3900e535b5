"""Private staging beside the place where a bundle will lie, and the rename that makes it real.

One process at a time stages into a folder: it holds a lock on it, so whatever else is found in staging
belongs to a process that was killed, and is swept away. Imports no crypto library.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.bundle.regular_file import is_folder
from runtime.errors import Code, EdgewardError, from_os_error

PREFIX = ".edgeward-staging-"
# Less than the agent gives its verifier in all, so that the one who waits says for what.
LOCK_WAIT_S = 120.0


def _io(error: OSError, path: Path) -> EdgewardError:
    return from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO)


def sync_folder(path: Path) -> None:
    """Make the names in a folder last through a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def folders_for(folder: Path, *, mode: int = 0o777) -> Iterator[None]:
    """Make ``folder``; when the block fails, what had to be made of it is removed again.

    Raises:
        EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    missing = []
    above = folder
    while not os.path.lexists(above):
        missing.append(above)
        above = above.parent
    try:
        try:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise _io(error, folder) from error
        yield
    except BaseException:
        for made in missing:
            with suppress(OSError):
                made.rmdir()
        raise


@contextmanager
def locked(into: Path, *, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold ``into``, which is made when it is missing, for this process alone; sweep what lies there.

    Raises:
        EdgewardError: ``SYSTEM_BUSY`` when another process holds it for longer than ``wait_s``;
            ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _io(error, into) from error
    try:
        _lock(descriptor, into, wait_s)
        _remove_staging(into)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, into: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                what = f"another process has been storing a bundle there for over {wait_s:g} s"
                remedy = "try again when it is done, or end it"
                raise EdgewardError(Code.SYSTEM_BUSY, what, where=str(into), remedy=remedy) from error
        except OSError as error:
            raise _io(error, into) from error
        else:
            return
        time.sleep(0.05)


def sweep(into: Path) -> None:
    """Remove what a killed process left in staging, unless another one is at work there right now."""
    try:
        descriptor = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # not made yet, so nothing is left in it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_staging(into)
    except BlockingIOError:
        pass  # the one who holds the lock has swept before it began
    finally:
        os.close(descriptor)


def _remove_staging(into: Path) -> None:
    for path in into.iterdir():
        if path.name.startswith(PREFIX):
            shutil.rmtree(path, ignore_errors=True)


class Staging:
    """A private folder that takes files (an ``archive.Sink``) and is then moved to its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folders = {folder}

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write one file and sync it. ``name`` has been checked: it is plain and relative.

        Raises:
            EdgewardError: ``SYSTEM_DISK_FULL``, ``SYSTEM_PERMISSION`` or ``SYSTEM_IO``.
        """
        path = self.folder / name
        try:
            self._make_parents(path.parent)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                for chunk in chunks:
                    write_all(stream.fileno(), chunk)
                os.fsync(descriptor)
        except OSError as error:
            raise _io(error, path) from error

    def _make_parents(self, folder: Path) -> None:
        if folder not in self._folders:
            self._make_parents(folder.parent)
            folder.mkdir(mode=0o755)
            self._folders.add(folder)

    def publish(self, target: Path, *, replace: bool = True) -> None:
        """Move the whole folder to ``target``.

        Args:
            target: its place.
            replace: whether what lies there is replaced, whatever it is; an empty folder always is.

        Raises:
            EdgewardError: ``USAGE`` when something lies there that must not be replaced;
                ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
        """
        try:
            for folder in self._folders:
                sync_folder(folder)
            self.folder.chmod(0o755)
            if replace and (target.is_symlink() or target.exists()):
                _set_aside(target)
            self.folder.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            if not replace and error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise taken(target) from error
            raise _io(error, target) from error


def taken(target: Path) -> EdgewardError:
    """The error for a folder to make whose place is taken."""
    what, remedy = "it exists and is not an empty folder", "name a folder that does not exist yet"
    return EdgewardError(Code.USAGE, what, where=str(target), remedy=remedy)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _set_aside(target: Path) -> None:
    """Into a staging name: swept away at once, or by the next who comes, should power fail here."""
    aside = Path(tempfile.mkdtemp(prefix=PREFIX, dir=target.parent))
    if is_folder(target):
        # It may have lost the rights that it takes to move and to empty it.
        with suppress(PermissionError):
            target.chmod(0o700)
    target.rename(aside / "old")


@contextmanager
def fresh(into: Path) -> Iterator[Staging]:
    """A new staging folder in ``into``; whatever staging holds at the end is removed. Call it locked.

    Raises:
        EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=into))
    except OSError as error:
        raise _io(error, into) from error
    try:
        yield Staging(folder)
    finally:
        _remove_staging(into)
