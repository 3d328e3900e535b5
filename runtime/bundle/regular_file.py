"""Opens files that somebody else names: regular files only, never waiting on a FIFO or a device."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from runtime.errors import Code, EdgewardError, from_os_error

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


class Codes(NamedTuple):
    """What it is called when such a file is missing, cannot be read, or is no regular file."""

    missing: Code
    unreadable: Code
    not_a_file: Code


BUNDLE = Codes(Code.BUNDLE_MISSING, Code.BUNDLE_UNREADABLE, Code.BUNDLE_NOT_A_FILE)
KEY = Codes(Code.KEY_MISSING, Code.KEY_INVALID, Code.KEY_INVALID)


FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def kind_of(mode: int) -> str:
    """What something is that is no regular file: ``a folder``."""
    return _KINDS.get(stat.S_IFMT(mode), "something special")


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder, and no link. What cannot be looked at is none: opening it says why."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def split(name: str) -> tuple[str, str]:
    """The folder part of a relative name, empty where it has none, and the last part."""
    above, _, last = name.rpartition("/")
    return above, last


@contextmanager
def folder_below(descriptor: int, name: str) -> Iterator[int]:
    """A descriptor of the folder ``name`` below another one, found step by step and through no link.

    Raises:
        OSError: a part of it is missing, or no folder.
    """
    found = os.dup(descriptor)
    try:
        for part in name.split("/") if name else ():
            inner = os.open(part, FOLDER, dir_fd=found)
            os.close(found)
            found = inner
        yield found
    finally:
        os.close(found)


class Unchanged:
    """Watches whether a file stays the same while it is read. Of what is no regular file it says nothing.

    Args:
        stream: opened and not yet read; without a descriptor it is not watched.
    """

    def __init__(self, stream: object) -> None:
        self._descriptor = _descriptor(stream)
        self._before = self._status()

    def _status(self) -> os.stat_result | None:
        if self._descriptor is None:
            return None
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            return None  # what it lies on is gone: reading it says so
        return status if stat.S_ISREG(status.st_mode) else None

    def change(self) -> str:
        """What is not as it was, in words; empty when all is."""
        before, now = self._before, self._status()
        if before is None or now is None:
            return ""
        if before.st_size != now.st_size:
            return f"it had {before.st_size} bytes and has {now.st_size}"
        if before.st_mtime_ns != now.st_mtime_ns:
            return "it was written to"
        if before.st_ctime_ns != now.st_ctime_ns:
            return "it was written to, renamed or given other rights"
        return ""


def _descriptor(stream: object) -> int | None:
    """The file descriptor behind a stream, if there is one."""
    try:
        number: object = stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    return number if isinstance(number, int) else None


def size_of(stream: object) -> int | None:
    """How many bytes are left in a stream; ``None`` when it is no regular file and nobody can know."""
    descriptor = _descriptor(stream)
    if descriptor is None:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None
    return max(0, status.st_size - os.lseek(descriptor, 0, os.SEEK_CUR))


def open_below(descriptor: int, name: str, codes: Codes, *, where: Path) -> tuple[BufferedReader, int]:
    """As ``open_regular``, for a file below a folder, found step by step and through no link.

    Args:
        descriptor: of the folder.
        name: a plain relative name.
        codes: the codes of the errors.
        where: the folder's name, for errors.
    """
    above, last = split(name)
    try:
        with folder_below(descriptor, above) as parent:
            return _opened(last, where / name, codes, os.O_NOFOLLOW, parent=parent)
    except OSError as error:
        raise from_os_error(error, where=str(where / name), fallback=codes.unreadable) from error


def open_regular(path: Path, codes: Codes, *, follow_links: bool = False) -> tuple[BufferedReader, int]:
    """A regular file opened for reading, and its size.

    Args:
        path: the file.
        codes: the codes of the errors.
        follow_links: whether the last part of ``path`` may be a symbolic link.

    Raises:
        EdgewardError: it is missing, cannot be read, or is a folder, link, FIFO, device or socket.
    """
    return _opened(path, path, codes, 0 if follow_links else os.O_NOFOLLOW)


def _opened(
    name: str | Path, path: Path, codes: Codes, flags: int, *, parent: int | None = None
) -> tuple[BufferedReader, int]:
    flags |= os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except OSError as error:
        raise _named(error, path, codes, follow_links=not flags & os.O_NOFOLLOW) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _not_a_file(status.st_mode, path, codes)
    return os.fdopen(descriptor, "rb"), status.st_size


def read_regular(path: Path, codes: Codes, *, limit: int, follow_links: bool = False) -> bytes:
    """All bytes of a small regular file.

    Raises:
        EdgewardError: as ``open_regular``; ``codes.not_a_file`` when it has more than ``limit`` bytes.
    """
    stream, size = open_regular(path, codes, follow_links=follow_links)
    with stream:
        try:
            data = stream.read(limit + 1) if size <= limit else bytes(limit + 1)
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=codes.unreadable) from error
    if len(data) > limit:
        raise EdgewardError(codes.not_a_file, f"over {limit} bytes", where=str(path), remedy="check the path")
    return data


def _not_a_file(mode: int, path: Path, codes: Codes) -> EdgewardError:
    what, remedy = f"this is {kind_of(mode)}, not a file", "give the file itself"
    return EdgewardError(codes.not_a_file, what, where=str(path), remedy=remedy)


def _named(error: OSError, path: Path, codes: Codes, *, follow_links: bool) -> EdgewardError:
    if error.errno == errno.ENOENT:
        return EdgewardError(codes.missing, "no such file", where=str(path), remedy="check the path")
    if error.errno == errno.ELOOP and not follow_links and path.is_symlink():
        return _not_a_file(stat.S_IFLNK, path, codes)
    if error.errno == errno.ENXIO:
        return _not_a_file(stat.S_IFSOCK, path, codes)
    return from_os_error(error, where=str(path), fallback=codes.unreadable)
