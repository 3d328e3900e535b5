"""Landlock: takes from this process, for good, all files but those of a few folders, and the network.

Called through the C library's ``syscall``, since no wrapper for it exists. Numbers and structures are those
of the kernel's user API, ``linux/landlock.h``, versions 1 (5.13) to 6 (6.12); a newer kernel knows them too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_SOCK, _MAKE_FIFO, _MAKE_SYM = 1 << 9, 1 << 10, 1 << 12
_TRUNCATE = 1 << 14
# All that can be forbidden, by the version that began to know it: links, truncation, device control.
_FIRST, _REFER, _IOCTL_DEV = (1 << 13) - 1, 1 << 13, 1 << 15
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# TCP bind and connect; from version 6 on also abstract sockets and signals of processes outside.
_BIND, _CONNECT, _SCOPES = 1, 2, 0b11


def version() -> int:
    """The version of Landlock that this kernel offers; 0 where it has none or it may not be used."""
    return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))


def restrict(
    *,
    read: Sequence[Path],
    write: Sequence[Path],
    execute: bool = False,
    devices: bool = False,
    connect: bool = False,
    bind: Sequence[int] = (),
    sockets: Sequence[Path] = (),
) -> int:
    """Allow to read below ``read``, to read and to make and remove files and folders below ``write``.

    What is open already stays open. Call ``prctl(PR_SET_NO_NEW_PRIVS)`` before.

    Args:
        read: folders and files; what does not exist or is out of reach is left out.
        write: folders, and with ``devices`` nodes, of what does not exist as ``read``.
        execute: whether programs below ``read`` may be run.
        devices: whether below ``write`` devices may be controlled, and sockets and links be made.
        connect: whether TCP connections may be opened.
        bind: TCP ports on which to listen.
        sockets: folders in which unix sockets may be made, and nothing be removed.

    Returns:
        The version of Landlock; 0 when nothing was done, since the kernel offers none.

    Raises:
        OSError: the kernel offers it and refuses all the same.
    """
    offered = version()
    if offered == 0:
        return 0
    handled = _FIRST
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        handled |= right if offered >= since else 0
    network = (_BIND if connect else _BIND | _CONNECT) if offered >= 4 else 0
    scopes = _SCOPES if offered >= 6 else 0
    of_read = _READ | (_EXECUTE if execute else 0)
    of_write = _WRITE | (handled & _TRUNCATE)
    if devices:
        of_write |= handled & (_IOCTL_DEV | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM | _REFER)
    size = 24 if offered >= 6 else 16 if offered >= 4 else 8
    attributes = struct.pack("=QQQ", handled, network, scopes)
    rules = _checked(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        # What is not there, or may not be read as it is, needs no rule.
        unless = (FileNotFoundError, NotADirectoryError, PermissionError)
        _allow_each(rules, read, of_read, unless)
        _allow_each(rules, write, of_write, (FileNotFoundError, PermissionError) if devices else ())
        _allow_each(rules, sockets, _MAKE_SOCK, unless)
        for port in bind if network else ():
            rule = struct.pack("=QQ", _BIND, port)
            _checked(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_NET_PORT), rule, ctypes.c_uint32(0))
        _checked(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)
    return offered


def _allow_each(rules: int, paths: Sequence[Path], rights: int, unless: tuple[type[OSError], ...]) -> None:
    for path in paths:
        with suppress(*unless):
            _allow(rules, path, rights)


def _allow(rules: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        try:
            _checked(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
        except OSError as error:
            if error.errno != errno.EBADFD:  # a pipe, a socket: what has no place among files
                raise
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(ctypes.c_long(number), *arguments))


def _checked(number: int, *arguments: object) -> int:
    result = _call(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "landlock")
    return result
