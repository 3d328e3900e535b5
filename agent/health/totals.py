"""Counts of workers, summed over all their lives: what a worker counts begins at 0 with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.workers.pipeline import Pipeline
from runtime import ipc

SERVED = ("answered", "pictures", "waited_s", "ran_s")
COUNTED = ("decoded", "failed", "decode_errors", "reconnects")


@dataclass(slots=True)
class _Sum:
    """Counts by name: of lives that are over, and of the present one."""

    over: dict[str, float] = field(default_factory=dict)
    now: dict[str, float] = field(default_factory=dict)

    def see(self, told: dict[str, float], *, anew: bool) -> None:
        if anew:
            self.over, self.now = self.value(), {}
        self.now = told

    def value(self) -> dict[str, float]:
        names = {**self.over, **self.now}
        return {name: self.over.get(name, 0) + self.now.get(name, 0) for name in names}


@dataclass(slots=True)
class _PipelineSums:
    last: ipc.Metrics | None = None
    lives: int = 0
    cpu_s: _Sum = field(default_factory=_Sum)
    wall_s: _Sum = field(default_factory=_Sum)
    counts: dict[str, _Sum] = field(default_factory=dict)
    dropped: dict[str, _Sum] = field(default_factory=dict)
    served: _Sum = field(default_factory=_Sum)
    refused: _Sum = field(default_factory=_Sum)


class Totals:
    """Call ``see`` as often as workers report; what one counted after its last report dies with it.

    What belonged to a pipeline or stream that was removed is forgotten with it.
    """

    def __init__(self) -> None:
        self._pipelines: dict[str, _PipelineSums] = {}
        self._cpu_s: tuple[tuple[float, float], ...] = ()

    def device_cpu_s(self, now: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        """Busy and idle seconds of each processor: the kernel's own go back by a little now and then."""
        if len(now) == len(self._cpu_s):
            pairs = zip(now, self._cpu_s, strict=True)
            now = tuple((max(busy, least), max(idle, rest)) for (busy, idle), (least, rest) in pairs)
        self._cpu_s = now
        return now

    def see(self, pipelines: Mapping[str, Pipeline]) -> None:
        """Take over what workers said last."""
        for gone in self._pipelines.keys() - pipelines.keys():
            del self._pipelines[gone]
        for name, pipeline in pipelines.items():
            sums = self._pipelines.setdefault(name, _PipelineSums())
            for gone in sums.counts.keys() - pipeline.streams.keys():
                del sums.counts[gone], sums.dropped[gone]
            told = pipeline.metrics
            if told is not None and told is not sums.last:
                _add(sums, told, pipeline.lives)

    def cpu_s(self, pipeline: str) -> dict[str, float]:
        """CPU seconds by stage."""
        sums = self._pipelines.get(pipeline)
        return sums.cpu_s.value() if sums else {}

    def wall_s(self, pipeline: str) -> dict[str, float]:
        """Wall seconds by stage."""
        sums = self._pipelines.get(pipeline)
        return sums.wall_s.value() if sums else {}

    def served(self, pipeline: str) -> dict[str, float]:
        """What the inference API did, by the names in ``SERVED``; empty where it never was."""
        sums = self._pipelines.get(pipeline)
        return sums.served.value() if sums else {}

    def refused(self, pipeline: str) -> dict[str, float]:
        """Requests to it without an answer, by gRPC status."""
        sums = self._pipelines.get(pipeline)
        return sums.refused.value() if sums else {}

    def counts(self, pipeline: str, stream: str) -> dict[str, int]:
        """Frames and events of a stream, by the names in ``COUNTED``."""
        return _of(self._pipelines.get(pipeline), "counts", stream)

    def dropped(self, pipeline: str, stream: str) -> dict[str, int]:
        """Frames that were left out, by reason."""
        return _of(self._pipelines.get(pipeline), "dropped", stream)


def _of(sums: _PipelineSums | None, what: str, stream: str) -> dict[str, int]:
    found = getattr(sums, what, {}).get(stream) if sums else None
    return {name: int(count) for name, count in found.value().items()} if found else {}


def _add(sums: _PipelineSums, told: ipc.Metrics, lives: int) -> None:
    # Not by the process id: a worker's last report is often looked at when it has none any more.
    anew = sums.last is not None and lives != sums.lives
    sums.last, sums.lives = told, lives
    sums.cpu_s.see(dict(told.cpu_s), anew=anew)
    sums.wall_s.see(dict(told.wall_s), anew=anew)
    for name, counters in told.streams.items():
        counts = {field: float(getattr(counters, field)) for field in COUNTED}
        sums.counts.setdefault(name, _Sum()).see(counts, anew=anew)
        dropped = {reason: float(count) for reason, count in counters.dropped.items()}
        sums.dropped.setdefault(name, _Sum()).see(dropped, anew=anew)
    if told.served is not None:
        sums.served.see({name: float(getattr(told.served, name)) for name in SERVED}, anew=anew)
        sums.refused.see({status: float(count) for status, count in told.served.refused.items()}, anew=anew)
