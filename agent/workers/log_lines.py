"""What a worker prints, cut into lines that are bounded in length, in rate and in number kept.

A worker that floods its log must cost neither the agent's memory nor its processor: lines are cut at
``MAX_LINE``, lines over the rate are counted instead of passed on, and a flood of bytes is held back in
the pipe itself, so that it slows the one who sends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

MAX_LINE = 4096
KEPT_LINES = 50
LINES_PER_SECOND = 20
BURST_LINES = 100
BYTES_PER_SECOND = 1 << 20


class LineLog(asyncio.Protocol):
    """Read end of a worker's stdout and stderr."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.kept: deque[str] = deque(maxlen=KEPT_LINES)
        self.ended = asyncio.Event()
        self.received = 0
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._part = bytearray()
        self._cutting = False
        self._allowance = float(BURST_LINES)
        self._allowance_at = self._loop.time()
        self._left_out = 0
        self._second = 0.0
        self._bytes_in_second = 0
        self._transport: asyncio.ReadTransport | None = None
        self._resume: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the pipe, to hold a flood back."""
        assert isinstance(transport, asyncio.ReadTransport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut what arrived into lines."""
        self.received += len(data)
        self._part += data
        *lines, rest = self._part.split(b"\n")
        for line in lines:
            if self._cutting:
                self._cutting = False
            else:
                self._line(line)
        self._part = bytearray(rest)
        if len(self._part) > MAX_LINE:
            if not self._cutting:
                self._line(self._part)
            self._cutting = True
            self._part.clear()
        self._hold_back(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The last, unfinished line, and what was left out."""
        if exc is not None:
            self._line(f"(the log pipe broke: {exc})".encode())
        if self._part and not self._cutting:
            self._line(self._part)
        self._part.clear()
        self._tell_left_out()
        if self._resume is not None:
            self._resume.cancel()
        self.ended.set()

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()

    def _line(self, raw: bytes | bytearray) -> None:
        text = bytes(raw[:MAX_LINE]).decode("utf-8", "replace").rstrip("\r")
        text = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)
        if not text:
            return
        if len(raw) > MAX_LINE:
            text += " ..."
        self.kept.append(text)
        now = self._loop.time()
        self._allowance += (now - self._allowance_at) * LINES_PER_SECOND
        self._allowance = min(self._allowance, float(BURST_LINES))
        self._allowance_at = now
        if self._allowance < 1:
            self._left_out += 1
            return
        self._allowance -= 1
        self._tell_left_out()
        self._on_line(text)

    def _tell_left_out(self) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._on_line(f"({count} lines left out: over {LINES_PER_SECOND} lines a second)")

    def _hold_back(self, count: int) -> None:
        now = self._loop.time()
        if now - self._second >= 1:
            self._second, self._bytes_in_second = now, 0
        self._bytes_in_second += count
        if self._bytes_in_second > BYTES_PER_SECOND and self._transport is not None and self._resume is None:
            self._transport.pause_reading()
            self._resume = self._loop.call_at(self._second + 1, self._read_on)

    def _read_on(self) -> None:
        self._resume = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
