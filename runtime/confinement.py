"""Gives up, for good, what a worker does not need; see ``runtime.rights``.

Landlock holds for the thread that asks for it and those that it starts, so this comes before anything that
starts one: engines and numeric libraries do at their import.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from runtime.bundle import landlock
from runtime.errors import Code, EdgewardError
from runtime.process_limits import no_new_privileges
from runtime.rights import Rights

_DESCRIPTORS = 4096
_THREADS = Path("/proc/self/task")


def confine(rights: Rights) -> list[str]:
    """Keep ``rights`` and nothing else.

    Returns:
        What this kernel cannot take away, in words; empty where it can all.

    Raises:
        EdgewardError: ``SYSTEM_IO``: the kernel refuses what it offers, or the scratch folder is not there.
    """
    try:
        return _confine(rights)
    except OSError as error:
        what = f"the worker cannot be confined: {error.strerror}"
        remedy = "set supervision.confine = false if this kernel cannot do it"
        where = str(error.filename or "")
        raise EdgewardError(Code.SYSTEM_IO, what, where=where, remedy=remedy) from error


def _confine(rights: Rights) -> list[str]:
    if rights.scratch:
        os.chdir(rights.scratch)
    for what, most in (
        (resource.RLIMIT_CORE, rights.core_bytes),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_FSIZE, rights.file_bytes),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))
    if not rights.confined:
        return []
    no_new_privileges()
    lacks = []
    threads = len(list(_THREADS.iterdir()))
    if threads > 1:
        lacks.append(f"{threads - 1} threads were there before the worker could be confined")
    offered = landlock.restrict(
        read=[Path(path) for path in rights.read],
        write=[Path(path) for path in rights.write],
        execute=True,
        devices=True,
        connect=rights.connect,
        bind=rights.bind,
        sockets=[Path(path) for path in rights.sockets],
    )
    if offered == 0:
        lacks.append("no Landlock in this kernel, or not for us: workers can open what their user can")
    elif offered < 4 and not rights.connect:
        lacks.append("this kernel's Landlock is older than version 4: workers can open TCP connections")
    return lacks
