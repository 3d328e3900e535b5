"""What ``edgeward run`` tells about its progress, and its summary."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from agent.cli import output
from runtime import ipc
from runtime.errors import Code, EdgewardError

_EVERY_S = 5.0
_IN_PLACE_EVERY_S = 0.2
_COUNTED = {"classification": "classifications", "embedding": "embeddings", "tensors": "tensors"}
_WHATS = ("detections", "segmentations", *_COUNTED.values())


class Report:
    """Progress on stderr: in place on a terminal, else a line each five seconds.

    Args:
        live: whether to tell progress at all.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._in_place = live and output.can_rewrite()
        self._started = self._last = time.monotonic()
        self._first_result = self._last_result = 0.0
        self._results = 0
        self._found: Counter[str] = Counter()
        self._last_why = ""
        self._last_class = ""
        self._latency_ms: deque[float] = deque(maxlen=10_000)
        self._stream: ipc.StreamChanged | None = None
        self._metrics: ipc.Metrics | None = None
        self._ready: ipc.Ready | None = None

    @property
    def task(self) -> str:
        """What the model is for; of one that detects until it is known."""
        return self._ready.task if self._ready is not None else "detection"

    def hear(self, message: ipc.FromWorker) -> None:
        """Take note of a message, and tell what is worth telling."""
        match message:
            case ipc.Ready():
                self._ready = message
                variant = f", variant {message.variant}" if message.variant else ""
                self._tell(
                    f"model for {message.task} on {message.engine} ({message.provider}){variant}, "
                    f"loaded in {message.load_ms:.0f} ms"
                )
            case ipc.StreamChanged(state="running"):
                self._stream = message
                size = f"{message.width}x{message.height}"
                self._tell(f"source is {message.codec} {size} at {message.declared_fps:g} fps")
            case ipc.Metrics():
                self._metrics = message
            case ipc.Result():
                self._count(message)
            case _:
                pass

    def finish(self) -> None:
        """The last word."""
        if self._in_place:
            output.rewrite()
        counts = self._counts()
        dropped = ", ".join(f"{count} {why}" for why, count in counts.dropped.items()) or "none"
        self._tell(f"{self._so_far()}; decoded {counts.decoded}, dropped {dropped}, failed {counts.failed}")

    def nothing_done(self, source: str) -> EdgewardError | None:
        """Why, when no frame was looked at to its end: none could be decoded, or every one has failed."""
        counts = self._counts()
        if self._ready is not None and not counts.decoded:
            what, remedy = "no picture in it could be decoded", "look at it with a player"
            return EdgewardError(Code.SOURCE_DATA, what, where=source, remedy=remedy)
        if counts.failed and not counts.results:
            remedy = "send the bundle back to its author with this line"
            return EdgewardError(Code.MODEL_RUN, f"every frame failed: {self._last_why}", remedy=remedy)
        return None

    def summary(self) -> dict[str, Any]:
        """The figures of the run, for ``--json``."""
        counts = self._counts()
        return {
            "codec": self._stream.codec if self._stream else None,
            "width": self._stream.width if self._stream else None,
            "height": self._stream.height if self._stream else None,
            "task": self._ready.task if self._ready else None,
            "variant": self._ready.variant if self._ready else None,
            "engine": self._ready.engine if self._ready else None,
            "provider": self._ready.provider if self._ready else None,
            "load_ms": round(self._ready.load_ms, 1) if self._ready else None,
            "decoded": counts.decoded,
            "results": counts.results,
            "failed": counts.failed,
            "dropped": counts.dropped,
            "decode_errors": counts.decode_errors,
            **{what: self._found[what] for what in _WHATS if what in (self._counted, "detections")},
            "fps": round(self._fps(), 2),
            "latency_ms": {"p50": self._percentile(50), "p95": self._percentile(95)},
            "cpu_s": _rounded(self._metrics.cpu_s) if self._metrics else {},
            "wall_s": _rounded(self._metrics.wall_s) if self._metrics else {},
        }

    def _count(self, result: ipc.Result) -> None:
        now = time.monotonic()
        self._first_result = self._first_result or now
        self._last_result = now
        self._results += 1
        self._last_why = result.why
        self._last_class = (
            f"{result.classes[0].label} {result.classes[0].score:.2f}" if result.classes else ""
        )
        self._found["detections"] += len(result.detections)
        self._found["classifications"] += bool(result.classes)
        self._found["segmentations"] += result.segmentation is not None
        self._found["embeddings"] += bool(result.embedding)
        self._found["tensors"] += len(result.tensors)
        self._latency_ms.append((result.done_ns - result.arrived_ns) / 1e6)
        if self._live and now - self._last >= (_IN_PLACE_EVERY_S if self._in_place else _EVERY_S):
            self._last = now
            if self._in_place:
                output.rewrite(self._so_far())
            else:
                output.progress(self._so_far())

    @property
    def _counted(self) -> str:
        """What is worth counting: what the model's task gives."""
        if self.task == "segmentation" and self._found["segmentations"]:
            return "segmentations"
        return _COUNTED.get(self.task, "detections")

    def _so_far(self) -> str:
        best = f" (last: {self._last_class})" if self._last_class else ""
        rate = f", {self._fps():.1f} frames a second" if self._results > 1 else ""
        return f"{self._results} results, {self._found[self._counted]} {self._counted}{best}{rate}"

    def _tell(self, line: str) -> None:
        if self._live:
            output.progress(line)

    def _counts(self) -> ipc.StreamCounters:
        return (
            next(iter(self._metrics.streams.values()), ipc.StreamCounters())
            if self._metrics
            else ipc.StreamCounters()
        )

    def _fps(self) -> float:
        seconds = self._last_result - self._first_result
        return (self._results - 1) / seconds if seconds > 0 else 0.0

    def _percentile(self, percent: int) -> float | None:
        if not self._latency_ms:
            return None
        ordered = sorted(self._latency_ms)
        return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)


def _rounded(stages: dict[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 4) for stage, seconds in stages.items()}
