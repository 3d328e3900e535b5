"""Private staging beside the place where a bundle will lie, and the rename that makes it real.

One process at a time stages into a folder: it holds a lock on it, so whatever else is found in staging
belongs to a process that was killed, and is swept away. Files are made below the descriptor of the
staging folder, step by step and through no link. Imports no crypto library.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.bundle import file_lock
from runtime.bundle.regular_file import FOLDER, folder_below, is_folder, split
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


def make_store(into: Path) -> None:
    """Make the folder of bundles when it is missing.

    Raises:
        EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _io(error, into) from error


@contextmanager
def locked(into: Path, *, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold ``into``, which is made when it is missing, for this process alone; sweep what lies there.

    Raises:
        EdgewardError: ``SYSTEM_BUSY`` when another process holds it for longer than ``wait_s``;
            ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    make_store(into)
    try:
        descriptor = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _io(error, into) from error
    try:
        busy = f"another process has been storing a bundle there for over {wait_s:g} s"
        file_lock.lock(descriptor, into, wait_s=wait_s, busy=busy)
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
        # Who holds the lock has swept before it began; where there are no locks nobody stages.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_staging(into)
    finally:
        os.close(descriptor)


def _remove_staging(into: Path) -> None:
    # A disk that cannot even be listed is named by whoever writes to it.
    with suppress(OSError):
        for path in into.iterdir():
            if path.name.startswith(PREFIX):
                _may_be_emptied(path)
                shutil.rmtree(path, ignore_errors=True)


def _may_be_emptied(folder: Path) -> None:
    """Give a folder back the rights that it takes to empty it; a confined process may not, its parent may."""
    if is_folder(folder):
        with suppress(OSError):
            folder.chmod(0o700)


def _check_space(descriptor: int, into: Path, needed: int) -> None:
    """Say that a bundle does not fit before the flash is worn by writing as much of it as does."""
    room = os.fstatvfs(descriptor)
    free = room.f_bavail * room.f_frsize
    if needed > free and room.f_blocks:  # some network file systems say nothing about their room
        what = f"{needed >> 10} KiB are needed, {free >> 10} KiB are free"
        remedy = "free some space and try again"
        raise EdgewardError(Code.SYSTEM_DISK_FULL, what, where=str(into), remedy=remedy)


class Staging:
    """A private folder that takes files (an ``archive.Sink``) and is then moved to its place.

    Args:
        into: the folder in which it lies.
        parent: a descriptor of ``into``.
        name: its name there.
    """

    def __init__(self, into: Path, parent: int, name: str) -> None:
        self.folder = into / name
        self._parent = parent
        self._name = name
        self._descriptor = os.open(name, FOLDER, dir_fd=parent)
        self._folders = {""}
        if os.listdir(self._descriptor):  # noqa: PTH208 - by its descriptor
            self.close()
            raise OSError(errno.EEXIST, "somebody else uses the staging folder", str(self.folder))

    def close(self) -> None:
        """Close the folder's descriptor."""
        os.close(self._descriptor)

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write one file and sync it. ``name`` has been checked: it is plain and relative.

        Raises:
            EdgewardError: ``SYSTEM_DISK_FULL``, ``SYSTEM_PERMISSION`` or ``SYSTEM_IO``.
        """
        above, last = split(name)
        try:
            self._make(above)
            with folder_below(self._descriptor, above) as parent:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(last, flags, 0o644, dir_fd=parent)
            try:
                for chunk in chunks:
                    write_all(descriptor, chunk)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _io(error, self.folder / name) from error

    def _make(self, name: str) -> None:
        if name not in self._folders:
            above, last = split(name)
            self._make(above)
            with folder_below(self._descriptor, above) as parent:
                os.mkdir(last, 0o755, dir_fd=parent)
            self._folders.add(name)

    def publish(self, target: Path, *, replace: bool = True) -> None:
        """Move the whole folder to ``target``.

        Args:
            target: its place, in the folder in which staging lies.
            replace: whether what lies there is replaced, whatever it is; an empty folder always is.

        Raises:
            EdgewardError: ``USAGE`` when something lies there that must not be replaced;
                ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
        """
        try:
            for name in self._folders:
                with folder_below(self._descriptor, name) as folder:
                    os.fsync(folder)
            os.fchmod(self._descriptor, 0o755)
            if replace and os.path.lexists(target):
                _set_aside(target, self._parent)
            os.rename(self._name, target.name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
            os.fsync(self._parent)
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


def _set_aside(target: Path, parent: int) -> None:
    """Into a staging name: swept away at once, or by the next who comes, should power fail here."""
    if not is_folder(target):
        target.unlink()
        return
    # It may have lost the rights that it takes to empty it. By its descriptor, since the verifier's filter
    # lets nobody change the rights of what a name leads to.
    with suppress(PermissionError):
        descriptor = os.open(target, FOLDER)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    try:
        os.rename(target.name, _new_name(), src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.rmtree(target)  # a folder of a container's image can be emptied, not renamed


def _new_name() -> str:
    return PREFIX + os.urandom(8).hex()


@contextmanager
def fresh(into: Path, *, needed: int = 0) -> Iterator[Staging]:
    """A new staging folder in ``into``; whatever staging holds at the end is removed. Call it locked.

    Args:
        into: the folder of bundles.
        needed: bytes that will be written.

    Raises:
        EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    try:
        parent = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _io(error, into) from error
    try:
        _check_space(parent, into, needed)
        try:
            name = _new_name()
            os.mkdir(name, 0o700, dir_fd=parent)
            staged = Staging(into, parent, name)
        except OSError as error:
            raise _io(error, into) from error
        try:
            yield staged
        finally:
            staged.close()
    finally:
        os.close(parent)
        _remove_staging(into)
