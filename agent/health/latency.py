"""The latency of one stream: recent quantiles, and all of its life in the buckets of OpenMetrics."""

from __future__ import annotations

from bisect import bisect_left

from agent.health.histogram import Histogram, quantile

# Quantiles are of the last one to two windows: of now, and of enough results to mean something.
WINDOW_NS = 60 * 1_000_000_000
# Upper bounds in seconds. Half a frame's time at 100 a second, up to what no live stream should ever take.
BOUNDS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
_BOUNDS_MS = tuple(1000 * bound for bound in BOUNDS_S)


class Latency:
    """Times are monotonic nanoseconds and never go back; latencies are milliseconds."""

    __slots__ = ("_began_ns", "_buckets", "_earlier", "_now", "sum_ms")

    def __init__(self) -> None:
        self.sum_ms = 0.0
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._now = Histogram()
        self._earlier = Histogram()
        self._began_ns: int | None = None

    def record(self, milliseconds: float, now_ns: int) -> None:
        """Count one result."""
        self._turn(now_ns)
        self._now.record(milliseconds)
        self._buckets[bisect_left(_BOUNDS_MS, milliseconds)] += 1
        self.sum_ms += max(milliseconds, 0.0)

    def quantile(self, share: float, now_ns: int) -> float | None:
        """What ``share`` of the recent results kept, at most 2 % off; ``None`` without any lately."""
        self._turn(now_ns)
        found = quantile([self._earlier, self._now], share)
        return None if found is None else round(found, 3)

    def cumulative(self) -> list[tuple[str, int]]:
        """Results since the start by upper bound in seconds, with those below it; the last is ``+Inf``."""
        found, total = [], 0
        for bound, count in zip([*(repr(each) for each in BOUNDS_S), "+Inf"], self._buckets, strict=True):
            total += count
            found.append((bound, total))
        return found

    def _turn(self, now_ns: int) -> None:
        """Begin a new window when this one is over; two windows later nothing of it is left."""
        if self._began_ns is None:
            self._began_ns = now_ns
        age_ns = now_ns - self._began_ns
        if age_ns < WINDOW_NS:
            return
        self._earlier = self._now if age_ns < 2 * WINDOW_NS else Histogram()
        self._now = Histogram()
        self._began_ns = now_ns - age_ns % WINDOW_NS
