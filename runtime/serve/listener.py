"""The place where requests arrive: a loopback port, or a unix socket that others may have left behind."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNIX = "unix:"
# For the owner and the group; whoever may open it may use the models.
_MASK = 0o117


def path_of(listen: str) -> Path | None:
    """The unix socket's path, or None for a port."""
    return Path(listen.removeprefix(UNIX)) if listen.startswith(UNIX) else None


def clear(listen: str) -> str:
    """Remove the socket that a worker left which was killed; never one that somebody answers on.

    Call it before the process is confined, which takes away the right to remove anything there.

    Returns:
        Why requests cannot arrive there, in words, or an empty text.
    """
    path = path_of(listen)
    try:
        if path is None:
            return _port_in_use(listen)
        return _clear_socket(path)
    except OSError as error:
        return f"cannot listen at {listen}: {error.strerror or error}"


@contextmanager
def permissions() -> Iterator[None]:
    """Sockets that are made inside are for the owner and the group only, from their first moment on."""
    before = os.umask(_MASK)
    try:
        yield
    finally:
        os.umask(before)


def _clear_socket(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return "" if path.parent.is_dir() else f"cannot listen at {path}: there is no folder {path.parent}"
    if not stat.S_ISSOCK(mode):
        return f"cannot listen at {path}: something that is no socket stands there; remove it"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return _removed(path)
    return f"cannot listen at {path}: another process answers there; give each pipeline a socket of its own"


def _removed(path: Path) -> str:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        what = "a socket stands there on which nobody answers, and a worker at work may not remove it"
        return f"cannot listen at {path}: {what}; remove it, or restart the pipeline"
    return ""


def _port_in_use(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As gRPC does: connections of a process that ended a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host.strip("[]"), int(port)))
    return ""
