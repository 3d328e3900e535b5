"""Speaks to systemd: sd_notify(3) over a datagram socket, nothing else."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to the service manager; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)
        self._socket: socket.socket | None = None
        if self._address[:1] in {"/", "@"}:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send("STATUS=" + text.replace("\n", " "))

    def stopping(self) -> None:
        """The service is ending."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """Progress was made: put the watchdog off."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str) -> None:
        if self._socket is None:
            return
        # An abstract address is written with @ and begins with a zero byte.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        # A full or vanished socket must not stop the service: the next one comes soon.
        with contextlib.suppress(OSError):
            self._socket.sendto(state.encode(), address)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Seconds that systemd waits for a sign; ``None`` when it does not, or waits for another process."""
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        pid = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and pid == os.getpid() else None
