"""Counts of one stream, from the decode thread and the inference thread."""

from __future__ import annotations

import threading
from collections import Counter

from runtime.ipc import StreamCounters
from runtime.source.frame import Drop


class Tally:
    """Thread-safe counters; ``snapshot`` is consistent: every decoded frame is in one place only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._decode_cpu_s = self._decode_wall_s = 0.0

    def decoded(self) -> None:
        """A picture came out of the decoder."""
        self._add("decoded")

    def decode_error(self) -> None:
        """A packet would not decode."""
        self._add("decode_errors")

    def reconnected(self) -> None:
        """The source was opened again."""
        self._add("reconnects")

    def dropped(self, why: Drop) -> None:
        """A decoded picture is not used."""
        with self._lock:
            self._dropped[why.value] += 1

    def finished(self, *, failed: bool) -> int:
        """A picture became a result; returns how many did so far."""
        with self._lock:
            self._count["failed" if failed else "results"] += 1
            return self._count["failed"] + self._count["results"]

    @property
    def finished_so_far(self) -> int:
        """How many pictures became results."""
        with self._lock:
            return self._count["failed"] + self._count["results"]

    def spent_decoding(self, cpu_s: float, wall_s: float) -> None:
        """Thread CPU time of reading and decoding, and wall time of decoding."""
        with self._lock:
            self._decode_cpu_s += cpu_s
            self._decode_wall_s += wall_s

    @property
    def decode_s(self) -> tuple[float, float]:
        """CPU and wall seconds, as ``spent_decoding`` counts them, so far."""
        with self._lock:
            return self._decode_cpu_s, self._decode_wall_s

    def snapshot(self) -> StreamCounters:
        """The counts as they are now."""
        with self._lock:
            return StreamCounters(dropped=dict(self._dropped), **self._count)

    def _add(self, name: str) -> None:
        with self._lock:
            self._count[name] += 1
