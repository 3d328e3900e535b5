"""Opens files that somebody else names: regular files only, never waiting on a FIFO or a device."""

from __future__ import annotations

import errno
import os
import stat
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


BUNDLE = Codes(Code.BUNDLE_MISSING, Code.BUNDLE_UNREADABLE, Code.BUNDLE_FORMAT)
KEY = Codes(Code.KEY_MISSING, Code.KEY_INVALID, Code.KEY_INVALID)


def kind_of(mode: int) -> str:
    """What something is that is no regular file: ``a folder``."""
    return _KINDS.get(stat.S_IFMT(mode), "something special")


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder, and no link. What cannot be looked at is none: opening it says why."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def open_regular(path: Path, codes: Codes, *, follow_links: bool = False) -> tuple[BufferedReader, int]:
    """A regular file opened for reading, and its size.

    Args:
        path: the file.
        codes: the codes of the errors.
        follow_links: whether the last part of ``path`` may be a symbolic link.

    Raises:
        EdgewardError: it is missing, cannot be read, or is a folder, link, FIFO, device or socket.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise _named(error, path, codes, follow_links=follow_links) from error
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
