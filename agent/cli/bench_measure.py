"""What one worker told while it looked at one source, as figures a frame."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agent.cli.bench_capacity import Cost
from runtime import ipc

# The way of a frame; what this version's worker does not report is left out, what else it reports comes last.
WAY = ("decode", "gate", "preprocess", "infer", "postprocess", "track", "publish")
WARM_UP = 5  # results whose latency does not count
_RSS_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Stage:
    """Milliseconds that a stage takes of each frame that is looked at; ``wall_ms`` where it is known."""

    name: str
    cpu_ms: float
    wall_ms: float | None


@dataclass(frozen=True, slots=True)
class Latency:
    """From a frame's arrival to its result, milliseconds."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Latency | None:
        """Of all of them; None when there is none."""
        if not milliseconds:
            return None
        ordered = sorted(milliseconds)
        return cls(
            ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)], ordered[-1]
        )


@dataclass(slots=True)
class Memory:
    """Resident memory of the worker in MB: with its model loaded, while it runs, and the peak of all."""

    loaded: float = 0.0
    running: float = 0.0
    peak: float = 0.0
    _sampled_at: float = field(default=0.0, repr=False)

    def sample(self, pid: int, *, running: bool) -> None:
        """Look at the process, at most each 50 ms; one that is gone changes nothing."""
        now = time.monotonic()
        if now - self._sampled_at < _RSS_EVERY_S and self.loaded:
            return
        self._sampled_at = now
        with contextlib.suppress(psutil.Error, OSError, ValueError, StopIteration):
            resident = psutil.Process(pid).memory_info().rss / 1e6
            status = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
            highest = next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmHWM:"))
            self.peak = max(self.peak, highest, resident)
            if running:
                self.running = max(self.running, resident)
            else:
                self.loaded = resident


class Measurement:
    """Takes note of a worker's messages; afterwards says what a frame costs."""

    def __init__(self) -> None:
        self.ready: ipc.Ready | None = None
        self.stream: ipc.StreamChanged | None = None
        self.memory = Memory()
        self.results = 0
        self.last_why = ""
        self.elapsed_s = 0.0
        self._first_at = 0.0
        self._latency_ms: list[float] = []
        self._pts_s: list[float] = []
        self._metrics: list[ipc.Metrics] = []

    def hear(self, message: ipc.FromWorker, pid: int) -> None:
        """Take note of a message of the worker with that process id."""
        match message:
            case ipc.Ready():
                self.ready = message
                self.memory.sample(pid, running=False)
            case ipc.StreamChanged(state="running"):
                self.stream = message
            case ipc.Metrics():
                self._metrics.append(message)
            case ipc.Result():
                now = time.monotonic()
                self._first_at = self._first_at or now
                self.elapsed_s = now - self._first_at
                self.results += 1
                self.last_why = message.why
                self._latency_ms.append((message.done_ns - message.arrived_ns) / 1e6)
                if message.pts_s is not None:
                    self._pts_s.append(message.pts_s)
                self.memory.sample(pid, running=True)
            case _:
                pass

    @property
    def counts(self) -> ipc.StreamCounters:
        """The last word on what became of the frames."""
        return _counts(self._metrics[-1]) if self._metrics else ipc.StreamCounters()

    @property
    def window(self) -> tuple[ipc.Metrics, ipc.Metrics] | None:
        """Between which two reports costs are taken: from the second one on, unless little would be left."""
        if not self._metrics:
            return None
        last = self._metrics[-1]
        warm = [one for one in self._metrics if _looked(one) >= WARM_UP]
        first = warm[0] if warm and _looked(warm[0]) * 2 <= _looked(last) else self._metrics[0]
        return (first, last) if _looked(last) > _looked(first) else None

    @property
    def measured(self) -> int:
        """Frames between the two reports."""
        return _looked(self.window[1]) - _looked(self.window[0]) if self.window else 0

    def cpu_ms(self) -> float:
        """CPU of the whole process for each frame that is looked at."""
        return self._spent("process") * 1e3 / self.measured if self.measured else 0.0

    def stages(self) -> list[Stage]:
        """What each stage takes of it, in the order of a frame's way, then what belongs to no stage."""
        if self.window is None:
            return []
        first, last = self.window
        names = [name for name in WAY if name in last.cpu_s]
        names += sorted(name for name in last.cpu_s if name not in {*WAY, "process"})
        per_frame = 1e3 / self.measured
        stages = [
            Stage(
                name,
                self._spent(name) * per_frame,
                _difference(first.wall_s, last.wall_s, name) * per_frame if name in last.wall_s else None,
            )
            for name in names
        ]
        other = self.cpu_ms() - sum(stage.cpu_ms for stage in stages)
        return [*stages, Stage("other", max(0.0, other), None)]

    def latency(self) -> Latency | None:
        """Of all results but the first few, unless there are no more."""
        return Latency.of(self._latency_ms[WARM_UP:] or self._latency_ms)

    def fps(self) -> float:
        """Results a second, from the first to the last."""
        return (self.results - 1) / self.elapsed_s if self.results > 1 and self.elapsed_s > 0 else 0.0

    def source_fps(self) -> float:
        """What the source sends: as it declares, else by the times of its frames; 0 when neither tells."""
        if self.stream is not None and self.stream.declared_fps > 0:
            return self.stream.declared_fps
        steps = [b - a for a, b in zip(self._pts_s, self._pts_s[1:], strict=False) if b > a]
        return 1.0 / statistics.median(steps) if steps else 0.0

    def cost(self) -> Cost | None:
        """What a stream costs, or None when nothing was measured."""
        if self.window is None:
            return None
        first, last = self.window
        decoded = _counts(last).decoded - _counts(first).decoded
        decode_s = self._spent("decode")
        # The inference thread does all but decoding; where walls are not reported, CPU stands in for them.
        serial = last.wall_s or last.cpu_s
        serial_s = sum(
            _difference(first.wall_s or first.cpu_s, serial, name)
            for name in serial
            if name not in {"decode", "process"}
        )
        return Cost(
            decode_cpu_s=decode_s / decoded if decoded else 0.0,
            look_cpu_s=max(0.0, self._spent("process") - decode_s) / self.measured,
            serial_wall_s=serial_s / self.measured,
            once_mb=self.memory.loaded,
            stream_mb=max(0.0, self.memory.running - self.memory.loaded),
        )

    def _spent(self, name: str) -> float:
        if self.window is None:
            return 0.0
        return _difference(self.window[0].cpu_s, self.window[1].cpu_s, name)


def _difference(first: Mapping[str, float], last: Mapping[str, float], name: str) -> float:
    return last.get(name, 0.0) - first.get(name, 0.0)


def _counts(metrics: ipc.Metrics) -> ipc.StreamCounters:
    return next(iter(metrics.streams.values()), ipc.StreamCounters())


def _looked(metrics: ipc.Metrics) -> int:
    counts = _counts(metrics)
    return counts.results + counts.failed
