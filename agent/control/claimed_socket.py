"""A unix socket that one process at a time may have: taken from the dead, never from the living.

A lock beside the socket says who may touch its path, so that two agents never both hold it for stale. The
socket is made under another name, gets its rights there, and then its name by a rename: at no moment can
somebody open it who may not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import Code, EdgewardError, from_os_error

FOLDER_MODE = 0o750
# struct ucred of unix(7).
_UCRED = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as the kernel knew it when it connected."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"user {self.uid}, process {self.pid}"


def peer_of(connected: socket.socket) -> Peer:
    """Who is at the other end of a unix socket."""
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(raw))


class ClaimedSocket:
    """Holds ``path``, from ``open`` to ``close``; ``key`` of the configuration names it."""

    def __init__(
        self, path: Path, *, group: str = "", mode: int = 0o660, key: str = "control.socket"
    ) -> None:
        self._key = key
        self._path = path
        self._group = group
        self._mode = mode
        self._lock = -1
        self._own: tuple[int, int] | None = None

    def open(self) -> socket.socket:
        """A socket that listens at the path; the caller closes it.

        Raises:
            EdgewardError: ``SYSTEM_BUSY`` when a living process listens there, ``CONTROL_SOCKET`` when the
                path is no place for a socket, ``CONFIG_VALUE`` when the group is unknown, ``SYSTEM_*``.
        """
        try:
            self._make_folder()
            self._take_lock()
            self._look_at_what_is_there()
            return self._listen()
        except OSError as error:
            self.close()
            raise self._refused(error) from error
        except EdgewardError:
            self.close()
            raise

    def close(self) -> None:
        """Take the name away again, if it still is this one's socket, and let go of the path."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            found = self._path.lstat()
            if self._own == (found.st_dev, found.st_ino):
                self._path.unlink()
        self._own = None
        if self._lock >= 0:
            # The lock file stays: removing it could take the next agent's lock away from under it.
            os.close(self._lock)
            self._lock = -1

    def _make_folder(self) -> None:
        folder = self._path.parent
        if folder.is_dir():
            return
        group = self._group_id() if self._group else -1
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        # Who may open the socket must get to it.
        os.chown(folder, -1, group)

    def _take_lock(self) -> None:
        path = self._path.with_name(f"{self._path.name}.lock")
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
            raise self._in_use(owner) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def _look_at_what_is_there(self) -> None:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise EdgewardError(
                Code.CONTROL_SOCKET,
                "something else has this name, and is left alone",
                where=str(self._path),
                remedy=f"move it away, or set {self._key} to another path",
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                return  # whoever made it has died: the rename takes its name over
            except BlockingIOError:
                # Its backlog is full: somebody listens there, and is too busy to be asked who.
                raise self._in_use("") from None
            raise self._in_use(str(peer_of(probe).pid))

    def _listen(self) -> socket.socket:
        made = self._path.with_name(f"{self._path.name}~")
        with contextlib.suppress(FileNotFoundError):
            made.unlink()  # of an agent that was killed just here; the lock says that none is at it now
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listening.bind(str(made))
            made.chmod(self._mode)
            if self._group:
                os.chown(made, -1, self._group_id())
            listening.listen()
            found = made.lstat()
            made.rename(self._path)
        except BaseException:
            listening.close()
            with contextlib.suppress(FileNotFoundError):
                made.unlink()
            raise
        self._own = found.st_dev, found.st_ino
        return listening

    def _group_id(self) -> int:
        try:
            return grp.getgrnam(self._group).gr_gid
        except KeyError:
            raise EdgewardError(
                Code.CONFIG_VALUE,
                f"there is no group {self._group!r} on this machine",
                where="control.group",
                remedy="make it with 'groupadd --system', or leave the key out",
            ) from None

    def _in_use(self, owner: str) -> EdgewardError:
        return EdgewardError(
            Code.SYSTEM_BUSY,
            f"another process ({owner or 'unknown'}) listens on this socket",
            where=str(self._path),
            remedy=f"stop it, or give this agent a {self._key} of its own",
        )

    def _refused(self, error: OSError) -> EdgewardError:
        where, key = str(self._path), self._key
        if error.errno == errno.EPERM or isinstance(error, PermissionError):
            return EdgewardError(
                Code.SYSTEM_PERMISSION,
                "this user may not make the socket there",
                where=where,
                remedy=f"set {key} to a path below a folder of its own, or to '' for none"
                + ("; a control.group must be one that this user is in" if self._group else ""),
            )
        if "too long" in str(error):
            what, remedy = "the path is too long for a socket", f"set {key} to a shorter one"
            return EdgewardError(Code.CONTROL_SOCKET, what, where=where, remedy=remedy)
        return from_os_error(error, where=where, fallback=Code.CONTROL_SOCKET)
