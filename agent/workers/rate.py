"""How many a second, lately."""

from __future__ import annotations

from collections import deque

WINDOW_NS = 5 * 1_000_000_000
# At most so many are remembered: of a fast stream the window is shorter, and as good.
_KEPT = 64


class RecentRate:
    """Counts over the last ``WINDOW_NS``. Times are monotonic nanoseconds and never go back."""

    __slots__ = ("_began_ns", "_times")

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._times: deque[int] = deque(maxlen=_KEPT)

    def count(self, now_ns: int) -> None:
        """One more came."""
        if not self._times or now_ns - self._times[-1] > WINDOW_NS:
            # After a pause the rate is that of the new run, not a mean with the silence before it.
            self._began_ns = now_ns
            self._times.clear()
        self._times.append(now_ns)

    def per_second(self, now_ns: int) -> float:
        """The rate of the window that ends now; 0 when nothing came in it."""
        while self._times and now_ns - self._times[0] > WINDOW_NS:
            if len(self._times) == 1:
                self._times.clear()
                return 0.0
            self._times.popleft()
        if self._began_ns is None or not self._times:
            return 0.0
        full = len(self._times) == _KEPT
        # Where the span begins with an arrival there is one gap less than there are arrivals.
        since_ns = self._times[0] if full else max(self._began_ns, now_ns - WINDOW_NS)
        gaps = len(self._times) - (1 if full or since_ns == self._began_ns else 0)
        return 1e9 * gaps / max(now_ns - since_ns, 1) if gaps else 0.0
