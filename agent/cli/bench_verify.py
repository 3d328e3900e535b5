"""Do that many streams really run here? What several streams of one worker told, as a verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agent.cli.bench_measure import Latency, Memory
from runtime import ipc

MOST_DROPPED = 0.01
PATIENCE_S = 10.0  # for the first result of the slowest stream
LEAST_RATE = 0.97  # a file that begins anew costs a little


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether ``streams`` streams kept ``wanted_fps`` for ``seconds``.

    Attributes:
        lowest_fps: of the slowest stream.
        dropped: the part of the frames to be looked at, of all streams, that a newer one replaced, 0..1.
        latency: of all streams, None when there was no result.
        cpus: that the worker used.
        memory_mb: the worker's peak.
        interrupted: it was ended before its time.
    """

    streams: int
    seconds: float
    wanted_fps: float
    lowest_fps: float
    dropped: float
    latency: Latency | None
    cpus: float
    memory_mb: float
    interrupted: bool = False

    @property
    def kept(self) -> bool:
        """Whether all streams were looked at as often as they should be."""
        missing = (self.wanted_fps - self.lowest_fps) * self.seconds
        # One frame more: the reports that are compared come at any time between two frames.
        few = missing <= 1 + (1 - LEAST_RATE) * self.wanted_fps * self.seconds
        return few and self.dropped < MOST_DROPPED


class Trial:
    """Takes note of a worker's messages while its streams run in real time.

    What counts begins with the first report after every stream gave a result, or should have, and ends with
    the first report ``seconds`` later.
    """

    def __init__(self, streams: tuple[str, ...], wanted_fps: float, seconds: float) -> None:
        self._missing = set(streams)
        self._names = streams
        self._wanted_fps = wanted_fps
        self._seconds = seconds
        self._started_at = time.monotonic()
        self._began_at = 0.0
        self._first: ipc.Metrics | None = None
        self._last: ipc.Metrics | None = None
        self._latency_ms: list[float] = []
        self._memory = Memory()

    def hear(self, message: ipc.FromWorker, pid: int) -> bool:
        """Take note; True when it was long enough."""
        match message:
            case ipc.Result():
                self._missing.discard(message.stream)
                if self._first is not None and not self._over:
                    self._latency_ms.append((message.done_ns - message.arrived_ns) / 1e6)
                self._memory.sample(pid, running=True)
            case ipc.Metrics() if self._first is None:
                if not self._missing or time.monotonic() - self._started_at > PATIENCE_S:
                    self._first, self._began_at = message, time.monotonic()
            case ipc.Metrics() if not self._over:
                self._last = message
            case _:
                pass
        return self._over

    @property
    def elapsed_s(self) -> float:
        """Since it counts."""
        return time.monotonic() - self._began_at if self._began_at else 0.0

    @property
    def _over(self) -> bool:
        first, last = self._first, self._last
        return bool(first and last and (last.mono_ns - first.mono_ns) / 1e9 >= self._seconds)

    def verdict(self, *, interrupted: bool) -> Verdict | None:
        """What came of it; None when it ended before it could be told."""
        first, last = self._first, self._last
        if first is None or last is None or last.mono_ns <= first.mono_ns:
            return None
        seconds = (last.mono_ns - first.mono_ns) / 1e9
        looked, newer = [], 0
        for name in self._names:
            was, now = first.streams[name], last.streams[name]
            looked.append(now.results + now.failed - was.results - was.failed)
            newer += now.dropped.get("newer", 0) - was.dropped.get("newer", 0)
        return Verdict(
            streams=len(self._names),
            seconds=seconds,
            wanted_fps=self._wanted_fps,
            lowest_fps=min(looked) / seconds,
            dropped=newer / (sum(looked) + newer) if newer else 0.0,
            latency=Latency.of(self._latency_ms),
            cpus=(last.cpu_s.get("process", 0.0) - first.cpu_s.get("process", 0.0)) / seconds,
            memory_mb=self._memory.peak,
            interrupted=interrupted,
        )
