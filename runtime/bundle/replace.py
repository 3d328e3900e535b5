"""Writes a file beside its place and renames it there: readers see the old file or the new, never half."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from runtime.bundle.regular_file import kind_of
from runtime.bundle.staging import sync_folder
from runtime.errors import Code, EdgewardError, from_os_error

_MARK = ".edgeward-"


class NewFile(NamedTuple):
    """A small file to write."""

    path: Path
    data: bytes
    mode: int


def check_target(path: Path, *, keep: Iterable[Path] = ()) -> None:
    """Refuse to write onto what is no regular file, a link too, and onto a file that is read from.

    Args:
        path: the file to write.
        keep: the files that must stay.

    Raises:
        EdgewardError: ``USAGE``, or ``SYSTEM_*`` when ``path`` cannot be looked at.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
    what = "" if stat.S_ISREG(status.st_mode) else f"this is {kind_of(status.st_mode)}, not a file"
    for other in keep:
        # What is not there, or can be no name at all, cannot be overwritten.
        with suppress(OSError, ValueError):
            if os.path.samestat(other.stat(), status):
                what = "it is read from, and would be overwritten"
    if what:
        raise EdgewardError(Code.USAGE, what, where=str(path), remedy="name another file to write")


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[_Beside]:
    """A file to write that becomes ``path`` when the block ends well, and vanishes when it does not.

    It is readable by its owner only until it is complete; then it gets ``mode``.

    Raises:
        EdgewardError: ``USAGE`` when ``path`` is something else than a regular file;
            ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    check_target(path)
    with _naming(path), _beside(path) as new:
        yield new
        new.complete(mode)
        new.place(replace=True)


def write_together(files: Sequence[NewFile], *, replace: bool) -> None:
    """Write all of ``files`` or none: each lies complete on the disk before the first gets its name.

    Args:
        files: named one after the other, so that the one that matters most comes last.
        replace: whether files that are there may be replaced.

    Raises:
        EdgewardError: as ``replacing``; ``USAGE`` when a file exists that must not be replaced.
    """
    for file in files:
        check_target(file.path)
    with ExitStack() as beside, ExitStack() as undo:
        made = []
        for file in files:
            with _naming(file.path):
                new = beside.enter_context(_beside(file.path))
                new.write(file.data)
                new.complete(file.mode)
            made.append(new)
        for file, new in zip(files, made, strict=True):
            with _naming(file.path):
                new.place(replace=replace)
            if not replace:
                undo.callback(file.path.unlink, missing_ok=True)
        undo.pop_all()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        remedy = "choose another name"
        raise EdgewardError(Code.USAGE, "it exists", where=str(path), remedy=remedy) from error
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error


class _Beside:
    """A file of a name of its own in the folder of ``path``, locked for as long as its writer lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        descriptor, self._name = _create(path)
        self._stream = os.fdopen(descriptor, "wb")

    def write(self, data: bytes, /) -> int:
        """Append ``data``."""
        return self._stream.write(data)

    def complete(self, mode: int) -> None:
        """Bring it to the disk."""
        self._stream.flush()
        os.fchmod(self._stream.fileno(), mode)
        os.fsync(self._stream.fileno())

    def place(self, *, replace: bool) -> None:
        """Give it its name."""
        if replace:
            os.rename(self._name, self._path)  # noqa: PTH104 - the name came from mkstemp
        else:
            self._place_new()
        sync_folder(self._path.parent)

    def _place_new(self) -> None:
        """By a link, since a rename would replace what is there."""
        try:
            os.link(self._name, self._path)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
                raise
            # A stick with FAT has no links: there an empty file takes the name before the rename does.
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            try:
                os.rename(self._name, self._path)  # noqa: PTH104 - the name came from mkstemp
            except OSError:
                self._path.unlink()
                raise

    def discard(self) -> None:
        """Remove it, if it still has the name of its own."""
        with suppress(OSError):
            self._stream.close()
        with suppress(OSError):
            Path(self._name).unlink(missing_ok=True)


@contextmanager
def _beside(path: Path) -> Iterator[_Beside]:
    new = _Beside(path)
    try:
        yield new
    finally:
        new.discard()


def _create(path: Path) -> tuple[int, str]:
    # Cut, so that the name fits into 255 bytes in any script.
    prefix = f".{path.name[:50]}{_MARK}"
    _sweep(path.parent, prefix)
    while True:
        descriptor, name = tempfile.mkstemp(prefix=prefix, dir=path.parent)
        with suppress(OSError):  # a file system without locks: then nothing is swept there either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, name
        os.close(descriptor)  # somebody swept before the lock was there


def _sweep(folder: Path, prefix: str) -> None:
    """Remove what killed processes of this user left: files of that name whose writer holds no lock."""
    with suppress(OSError):
        for path in [path for path in folder.iterdir() if path.name.startswith(prefix)]:
            with suppress(OSError):
                _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)
