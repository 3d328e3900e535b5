"""Takes rights away from the process that parses what strangers wrote, before it reads a byte of it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from runtime.errors import Code, EdgewardError

MEMORY_LIMIT = 1 << 30
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def confine(*, parent: int | None) -> None:
    """No core dump, at most 1 GiB of address space, no new privileges; die with the parent.

    Args:
        parent: the process that must live; ``None`` when this one was started by hand.

    Raises:
        EdgewardError: ``SYSTEM_IO`` when the kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if parent is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It died before the kernel was asked to tell.
            raise SystemExit(1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]
    if libc.prctl(ctypes.c_int(option), *arguments) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise EdgewardError(Code.SYSTEM_IO, f"prctl({option}): {reason}", remedy="use a kernel from 3.5 on")
