"""Writes lines in a thread of its own: a full pipe, a stopped terminal or a stuck journal holds up nobody.

What finds no room is dropped and counted, warnings and worse later than the rest; the count is written as
soon as something can be written again.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable

KEPT_BYTES = 256 << 10
# Room that only warnings and worse may use.
RESERVE_BYTES = 64 << 10
# At the end of the process what waits is given this long.
LAST_FLUSH_S = 1.0


class Writer:
    """Owns nothing but a thread: ``fd`` is not closed."""

    def __init__(self, fd: int, *, lost: Callable[[int], str], idle: Callable[[], float | None]) -> None:
        """Start the thread.

        Args:
            fd: where to write; a descriptor that blocks.
            lost: makes the line that says how many lines were lost.
            idle: called when nothing waits; says after how many seconds to call it again, or never.
        """
        self._fd = fd
        self._lost_line = lost
        self._idle = idle
        self._news = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # that wait or are being written
        self._lost = 0
        self._taken = 0
        self._writing = False
        self._closed = False
        self._poked = False
        self._stuck = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str, *, urgent: bool) -> None:
        """Have ``line`` written; returns at once. ``urgent`` ones are dropped last."""
        data = line.encode("utf-8", "replace") + b"\n"
        with self._news:
            room = KEPT_BYTES + (RESERVE_BYTES if urgent else 0)
            if self._bytes + len(data) > room:
                self._lost += 1
                return
            self._waiting.append(data)
            self._bytes += len(data)
            self._news.notify_all()

    def wake(self) -> None:
        """Ask ``idle`` again."""
        with self._news:
            self._poked = True
            self._news.notify_all()

    def flush(self, seconds: float = LAST_FLUSH_S) -> bool:
        """Wait until all is written, at most so long; whether it is."""
        with self._news:
            self._stuck = not self._news.wait_for(self._is_empty, seconds)
            return not self._stuck

    def close(self, seconds: float = LAST_FLUSH_S) -> None:
        """Write what waits, for at most ``seconds``, and end the thread unless it is stuck in a write."""
        if not self._stuck:  # who has waited in vain once does not wait twice
            self.flush(seconds)
        with self._news:
            self._closed = True
            self._news.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(0.1)

    def _is_empty(self) -> bool:
        return not self._waiting and not self._writing and not self._lost

    def _run(self) -> None:
        while (data := self._next()) is not None:
            gone = not self._write(data)
            with self._news:
                self._writing = False
                self._bytes -= self._taken
                if gone:
                    # Nobody reads any more, so nobody can be told either.
                    self._lost = 0
                self._news.notify_all()

    def _next(self) -> bytes | None:
        """The next bytes to write; ``None`` to end."""
        while True:
            with self._news:
                if self._waiting or self._lost:
                    self._writing = True
                    return self._take()
                if self._closed:
                    return None
                self._poked = False
            pause = self._idle()  # outside of the lock: it may put lines
            with self._news:
                if self._is_quiet():
                    self._news.wait(pause)

    def _is_quiet(self) -> bool:
        return not (self._waiting or self._lost or self._closed or self._poked)

    def _take(self) -> bytes:
        """All that waits, in one write: a burst costs the journal one wake-up and not a thousand."""
        self._taken = self._bytes
        parts = list(self._waiting)
        self._waiting.clear()
        if self._lost:
            count, self._lost = self._lost, 0
            parts.append(self._lost_line(count).encode() + b"\n")
        return b"".join(parts)

    def _write(self, data: bytes) -> bool:
        """Whether somebody took it."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # Whoever gave us this descriptor made it non-blocking.
                with contextlib.suppress(OSError, ValueError):
                    select.select([], [self._fd], [], 1.0)
                if self._closed:
                    return False
            except OSError:
                return False
        return True
