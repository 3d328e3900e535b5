"""The last lines of the log, kept in memory, and handed to whoever follows them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator

from agent.logs.line import Line

KEPT_LINES = 2000
KEPT_BYTES = 512 << 10
# A follower that does not read loses its oldest lines; the gap in ``seq`` says how many.
FOLLOWER_KEEPS = 512
# What a line costs beside its texts, roughly.
_OVERHEAD = 200


class _Follower:
    def __init__(self) -> None:
        self.waiting: deque[Line] = deque(maxlen=FOLLOWER_KEEPS)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()

    def give(self, line: Line) -> None:
        """From any thread."""
        self.waiting.append(line)
        with contextlib.suppress(RuntimeError):  # its loop is closed: it will never read again
            self._loop.call_soon_threadsafe(self._wake.set)

    async def news(self) -> None:
        self._wake.clear()
        if not self.waiting:
            await self._wake.wait()


class Recent:
    """Bounded by lines and by bytes. ``add`` and ``recent`` from any thread, ``follow`` on an event loop."""

    def __init__(self, lines: int = KEPT_LINES, size: int = KEPT_BYTES) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque()
        self._max_lines = lines
        self._max_bytes = size
        self._bytes = 0
        self._followers: list[_Follower] = []

    def add(self, line: Line) -> None:
        """Keep ``line``, and let go of the oldest ones that it has no room beside."""
        with self._lock:
            self._lines.append(line)
            self._bytes += _size(line)
            while len(self._lines) > 1 and (
                len(self._lines) > self._max_lines or self._bytes > self._max_bytes
            ):
                self._bytes -= _size(self._lines.popleft())
            for follower in self._followers:
                follower.give(line)

    def recent(self, count: int = KEPT_LINES) -> list[Line]:
        """The last ``count`` lines, oldest first."""
        with self._lock:
            return list(self._lines)[-count:] if count > 0 else []

    async def follow(self, recent: int = 0) -> AsyncIterator[Line]:
        """The last ``recent`` lines, then each from now on, none twice and none left out in between."""
        with self._following(recent) as (kept, follower):
            for line in kept:
                yield line
            while True:
                while follower.waiting:
                    yield follower.waiting.popleft()
                await follower.news()

    @contextlib.contextmanager
    def _following(self, recent: int) -> Iterator[tuple[list[Line], _Follower]]:
        follower = _Follower()
        with self._lock:
            kept = list(self._lines)[-recent:] if recent > 0 else []
            self._followers.append(follower)
        try:
            yield kept, follower
        finally:
            with self._lock:
                self._followers.remove(follower)


def _size(line: Line) -> int:
    return len(line.text) + len(line.exception) + _OVERHEAD
