"""Counts the bad ends of a pipeline's workers within a window of time."""

from __future__ import annotations

from collections import deque

from runtime.errors import Code

# The bundle's doing, or an engine's with it. A camera, an operator or the configuration end no worker so.
_BAD = frozenset(
    code.text
    for code in (
        Code.INTERNAL,
        Code.MODEL_LOAD,
        Code.MODEL_MISMATCH,
        Code.MODEL_RUN,
        Code.WORKER_DIED,
        Code.WORKER_HUNG,
        Code.WORKER_MEMORY,
        Code.WORKER_PROTOCOL,
    )
)


def is_bad(code: str) -> bool:
    """Whether a worker that ended with this code ended badly."""
    return code in _BAD


class CrashWindow:
    """``bad_ends`` within ``window_s`` seconds are a crash loop."""

    def __init__(self, bad_ends: int, window_s: float) -> None:
        self._most = bad_ends
        self._window_s = window_s
        self._ends: deque[float] = deque(maxlen=bad_ends)

    def add(self, now: float) -> bool:
        """Count a bad end at the monotonic time ``now``; returns whether that makes it a crash loop."""
        self._ends.append(now)
        return self.count(now) >= self._most

    def count(self, now: float) -> int:
        """Bad ends within the window before ``now``."""
        while self._ends and now - self._ends[0] > self._window_s:
            self._ends.popleft()
        return len(self._ends)

    def clear(self) -> None:
        """Begin anew, with another bundle."""
        self._ends.clear()
