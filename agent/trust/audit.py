"""The audit log: who changed what this device trusts, one line of JSON each, never written over.

A line is on the disk before the change that it tells of is made; a change that fails is told of in a second.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.trust import held_folder
from runtime.bundle.staging import sync_folder, write_all
from runtime.bundle.trust_folder import check_ownership
from runtime.errors import Code, EdgewardError, from_os_error

NAME = "audit.jsonl"
_UNSET_LOGIN = 0xFFFFFFFF


def path_in(folder: Path) -> Path:
    """The log of a trust folder."""
    return folder / NAME


def append(path: Path, what: str, **facts: Any) -> None:
    """Append one record and bring it to the disk.

    Args:
        path: the log; made when missing, with its folder, readable by its owner only.
        what: what is done, ``key added``.
        facts: what belongs to it, as JSON.

    Raises:
        EdgewardError: ``SYSTEM_*`` when it cannot be written, ``TRUST_WRITABLE`` when others may write to it:
            then nothing must be changed either.
    """
    record = {"when": _now(), "what": what, **_who(), **facts}
    line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        held_folder.make(path.parent, mode=0o755)
        new = not os.path.lexists(path)
        descriptor = os.open(path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                remedy = "move it away, so that the log can be a file"
                raise EdgewardError(Code.SYSTEM_IO, "not a plain file", where=str(path), remedy=remedy)
            check_ownership(status, path)
            if status.st_size and os.pread(descriptor, 1, status.st_size - 1) != b"\n":
                line = b"\n" + line  # power failed while the last line was written
            write_all(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error


@contextmanager
def told(path: Path, what: str, **facts: Any) -> Iterator[None]:
    """``append``, then the block that makes the change; when that fails, a second record says so.

    Raises:
        EdgewardError: as ``append``, and what the block raises.
    """
    append(path, what, **facts)
    try:
        yield
    except (EdgewardError, OSError) as error:
        append(path, "failed", failed=what, why=str(error), **facts)
        raise


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _who() -> Mapping[str, object]:
    """The user of the process, and who logged in: the kernel keeps that through ``sudo`` and ``su``."""
    uid = os.getuid()
    return {"uid": uid, "user": _user(uid), "login": _login()}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _login() -> str:
    try:
        uid = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        uid = _UNSET_LOGIN
    if uid != _UNSET_LOGIN:
        return _user(uid) or str(uid)
    return os.environ.get("SUDO_USER", "")
