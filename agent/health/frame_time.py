"""How long a frame takes the model lately, from what workers say of their stages."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from agent.workers.pipeline import Pipeline
from runtime import ipc

WINDOW_NS = 60 * 1_000_000_000
# Of fewer frames an average means little.
LEAST_FRAMES = 30
_MODEL_STAGES = ("preprocess", "infer", "postprocess")


class FrameTimes:
    """Averages over the last minute, by pipeline; those that look at a frame more than once have none."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[tuple[int, float, int]]] = {}

    def look(self, pipelines: Mapping[str, Pipeline], now_ns: int) -> None:
        """Take what workers said last."""
        self._kept = {name: kept for name, kept in self._kept.items() if name in pipelines}
        for name, pipeline in pipelines.items():
            told = pipeline.metrics
            if told is not None and not pipeline.config.stage and pipeline.config.tiling is None:
                self._add(name, told, now_ns)

    def of(self, pipeline: str) -> float | None:
        """Milliseconds a frame; ``None`` while too few were seen."""
        kept = self._kept.get(pipeline)
        if not kept:
            return None
        (_, first_s, first), (_, last_s, last) = kept[0], kept[-1]
        if last - first < LEAST_FRAMES:
            return None
        return 1000 * (last_s - first_s) / (last - first)

    def _add(self, name: str, told: ipc.Metrics, now_ns: int) -> None:
        spent_s = sum(told.wall_s.get(stage, 0.0) for stage in _MODEL_STAGES)
        frames = sum(stream.results + stream.failed for stream in told.streams.values())
        kept = self._kept.setdefault(name, deque())
        if kept and frames < kept[-1][2]:
            kept.clear()  # another worker
        if not kept or told.mono_ns != kept[-1][0]:
            kept.append((told.mono_ns, spent_s, frames))
        while len(kept) > 2 and now_ns - kept[1][0] > WINDOW_NS:
            kept.popleft()
