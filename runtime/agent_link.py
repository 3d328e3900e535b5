"""The socketpair to the agent, at the end of the process that the agent started."""

from __future__ import annotations

import os
import select
import socket
import threading
import time

from runtime import ipc
from runtime.errors import Code


class Agent:
    """The agent's end as the worker sees it: messages out from any thread, messages in to one.

    A send blocks while the agent does not read. That holds up inference, and frames are then dropped
    and counted; results are never thrown away silently.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._reader = ipc.FrameReader()
        self._arrived: list[bytes] = []

    def send(self, message: ipc.FromWorker) -> None:
        """Send; when the agent is gone there is nobody to work for, so the process ends."""
        data = ipc.encode(message)
        try:
            with self._lock:
                self._link.sendall(data)
        except OSError:
            os._exit(int(Code.WORKER_PROTOCOL.exit_status))

    def receive(self, timeout_s: float | None) -> ipc.ToWorker | None:
        """The next message, or None when none came in time; ``Stop`` when the agent closed its end."""
        # Not a time-out of the socket: that would hold for the sends of the other threads as well, and a send
        # waits for as long as the agent is busy.
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._arrived:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._link], [], [], left)[0]:
                return None
            data = self._link.recv(65536)
            if not data:
                return ipc.Stop()
            self._arrived += self._reader.feed(data)
        return ipc.decode_to_worker(self._arrived.pop(0))
