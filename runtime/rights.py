"""What a worker may do to its machine: the agent says so, ``runtime.confinement`` makes it true."""

from __future__ import annotations

import msgspec


class Rights(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All else is refused by the kernel, as far as it can.

    Attributes:
        confined: whether files and network are limited at all.
        read: folders and files that may be read; programs in them may be run, with the same limits.
        write: folders in which files may be made, and device nodes.
        connect: whether TCP connections may be opened.
        bind: TCP ports on which it may listen.
        sockets: folders in which it may make unix sockets, and remove nothing.
        scratch: its folder for temporary files, which is its working directory; empty: as it was started.
        core_bytes: how large a core dump may be.
        file_bytes: how large a file may be which it writes.
    """

    confined: bool = False
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    connect: bool = True
    bind: tuple[int, ...] = ()
    sockets: tuple[str, ...] = ()
    scratch: str = ""
    core_bytes: int = 0
    file_bytes: int = 4 << 30
