"""Speaks to systemd: sd_notify(3) over a datagram socket, nothing else."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

# What must not get lost waits so long for a service manager that does not read; the rest comes again.
PATIENCE_S = 1.0


class Notifier:
    """Sends states to the service manager; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)
        self._status = ""
        self._socket: socket.socket | None = None
        if self._address[:1] in {"/", "@"}:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def ready(self) -> None:
        """The service is up, or up again after ``reloading``."""
        self._send("READY=1", patient=True)

    def reloading(self) -> None:
        """The service reads its configuration anew; ``ready`` must follow, however that ends."""
        # The time is what systemd 253 and newer tell one reload from the next by (Type=notify-reload).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", patient=True)

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; sent when it is another one than was taken last."""
        if text != self._status and self._send("STATUS=" + text.replace("\n", " ")):
            self._status = text

    def stopping(self) -> None:
        """The service is ending."""
        self._send("STOPPING=1", patient=True)

    def extend(self, seconds: float) -> None:
        """What is under way takes longer: wait at least ``seconds`` from now for the next state."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def watchdog(self) -> None:
        """Progress was made: put the watchdog off."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, *, patient: bool = False) -> bool:
        """Whether it was taken."""
        if self._socket is None:
            return False
        # An abstract address is written with @ and begins with a zero byte.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        self._socket.settimeout(PATIENCE_S if patient else 0)
        # A full or vanished socket must not stop the service.
        try:
            self._socket.sendto(state.encode(), address)
        except OSError:
            return False
        return True


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Seconds that systemd waits for a sign; ``None`` when it does not, or waits for another process."""
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        pid = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and pid == os.getpid() else None
