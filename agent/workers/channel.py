"""The agent's end of the socketpair to one worker: frames of ``runtime.ipc``, in order, bounded.

Unread messages are bounded by back-pressure: past ``HIGH_WATER`` messages or ``HIGH_WATER_BYTES`` the socket
is not read, so a worker that outruns the agent waits in its own ``send``. While a worker is being stopped
nothing may make it wait, so the oldest unread messages go instead.
"""

from __future__ import annotations

import asyncio
from collections import deque

from runtime import ipc
from runtime.errors import EdgewardError

HIGH_WATER = 256
LOW_WATER = 64
# A result with masks or raw tensors can have megabytes, a plain one a few hundred bytes.
HIGH_WATER_BYTES = 4 << 20
LOW_WATER_BYTES = 1 << 20


class Channel(asyncio.Protocol):
    """Sends ``ToWorker``, hands out ``FromWorker``."""

    def __init__(self) -> None:
        self._frames = ipc.FrameReader()
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._broken: EdgewardError | None = None
        self._lossy = False
        self._paused = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Queue the frames that are whole; a header that makes no sense ends the connection."""
        try:
            whole = self._frames.feed(data)
        except EdgewardError as error:
            self._broken = error
            self.close()
        else:
            self._unread.extend(whole)
            self._unread_bytes += sum(map(len, whole))
        if self._too_much:
            if self._lossy:
                while self._too_much:
                    self._pop()
            elif not self._paused and self._transport is not None and not self._transport.is_closing():
                self._paused = True
                self._transport.pause_reading()
        self._wake.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a reset is an end as well
        """Whatever is unread is still handed out, then comes the end."""
        self._closed = True
        self._wake.set()

    def send(self, message: ipc.ToWorker) -> None:
        """Queue a message; silently nothing when the worker has closed its end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(ipc.encode(message))

    async def receive(self) -> ipc.FromWorker | None:
        """The next message, ``None`` at the end. Safe to cancel: no message is lost by it.

        Raises:
            EdgewardError: ``WORKER_PROTOCOL`` when the worker sent what is no message.
        """
        while not self._unread:
            if self._broken is not None:
                raise self._broken
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        payload = self._pop()
        if len(self._unread) <= LOW_WATER and self._unread_bytes <= LOW_WATER_BYTES:
            self._read_on()
        try:
            return ipc.decode_from_worker(payload)
        except EdgewardError as error:
            self._broken = error
            self._unread.clear()
            self._unread_bytes = 0
            self.close()
            raise

    def never_block_the_worker(self) -> None:
        """From here on drop the oldest unread messages instead of making the worker wait."""
        self._lossy = True
        self._read_on()

    def close(self) -> None:
        """Close the socket; the worker sees the end."""
        if self._transport is not None:
            self._transport.close()

    @property
    def _too_much(self) -> bool:
        # The newest message is always kept, however large it is.
        return len(self._unread) > HIGH_WATER or (
            self._unread_bytes > HIGH_WATER_BYTES and len(self._unread) > 1
        )

    def _pop(self) -> bytes:
        payload = self._unread.popleft()
        self._unread_bytes -= len(payload)
        return payload

    def _read_on(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
