"""Private staging beside the place where a bundle will lie, and the rename that makes it real.

One process at a time stages into a folder: it holds a lock on it, so whatever else is found in staging
belongs to a process that was killed, and is swept away. Imports no crypto library.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import Code, EdgewardError, from_os_error

PREFIX = ".edgeward-staging-"


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
def locked(into: Path) -> Iterator[None]:
    """Hold ``into``, which is made when it is missing, for this process alone; sweep what lies there.

    Raises:
        EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _io(error, into) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _remove_staging(into)
        yield
    finally:
        os.close(descriptor)


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

    def publish(self, target: Path) -> None:
        """Move the whole folder to ``target``; what lies there is replaced.

        Raises:
            EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
        """
        try:
            for folder in self._folders:
                sync_folder(folder)
            self.folder.chmod(0o755)
            if target.is_symlink() or target.exists():
                _set_aside(target)
            self.folder.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise _io(error, target) from error


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _set_aside(target: Path) -> None:
    """Into a staging name: swept away at once, or by the next who comes, should power fail here."""
    aside = Path(tempfile.mkdtemp(prefix=PREFIX, dir=target.parent))
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
