"""Takes rights away from the process that parses what strangers wrote, before it reads a byte of it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import runtime
from runtime.bundle import landlock, seccomp
from runtime.errors import Code, EdgewardError

MEMORY_LIMIT = 512 << 20
_DESCRIPTORS = 256
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def limit(*, parent: int | None, largest_file: int) -> None:
    """No core dump, little memory, few open files, no new privileges; die with the parent.

    Args:
        parent: the process that must live; ``None`` when this one was started by hand.
        largest_file: bytes that a file may have which this process writes.

    Raises:
        EdgewardError: ``SYSTEM_IO`` when the kernel refuses.
    """
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_LIMIT),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_FSIZE, largest_file),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if parent is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It died before the kernel was asked to tell.
            raise SystemExit(1)


def enclose(*, write: Sequence[Path]) -> list[str]:
    """Leave nothing but what is open, Python's own files to read, and the folders ``write``; no network.

    Args:
        write: folders in which files and folders are made and removed.

    Returns:
        What this kernel cannot take away, in words; empty where it can all.

    Raises:
        EdgewardError: ``SYSTEM_IO`` when the kernel refuses.
    """
    lacks = []
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        offered = landlock.restrict(read=_code(), write=write)
        if offered == 0:
            lacks.append(
                "no Landlock, by the kernel or by whoever started us: files outside the store can be opened"
            )
        elif offered < 3:
            lacks.append("this kernel's Landlock is older than version 3: files outside can be cut short")
        if not seccomp.restrict():
            lacks.append("no seccomp filter for this kernel or processor: it could use the network")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}"
        raise EdgewardError(Code.SYSTEM_IO, what, remedy="see the system's log") from error
    return lacks


def _code() -> list[Path]:
    """Where modules lie that may still be imported; of a checkout this package and nothing else."""
    package = Path(str(runtime.__file__)).resolve().parent
    folders = {Path(entry).resolve() for entry in sys.path if entry}
    installed = package.parent.name in {"site-packages", "dist-packages"}
    if not installed:
        folders = (folders - set(package.parents)) | _loaded(package.parent)
    return [package, *sorted(folders)]


def _loaded(folder: Path) -> set[Path]:
    """Other packages in ``folder`` that are in use: ``pip install --target`` puts them beside ours."""
    files = [getattr(module, "__file__", None) for name, module in sys.modules.items() if "." not in name]
    packages = {Path(file).resolve().parent for file in files if file}
    return {package for package in packages if package.parent == folder}


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(number) for number in (value, 0, 0, 0)]
    if libc.prctl(ctypes.c_int(option), *arguments) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise EdgewardError(Code.SYSTEM_IO, f"prctl({option}): {reason}", remedy="use a kernel from 3.5 on")
