"""What the agent knows about one stream, judged by its results and by nothing else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from agent.config import Stream
from runtime import ipc

StreamState = Literal["starting", "running", "stalled", "failed", "ended"]
LATENCIES_KEPT = 512
# A worker that says "running" and gives no result for so long is restarted; never sooner than this.
SILENCE_S = 30.0
OPEN_BUT_SILENT = "the stream is open but sends nothing"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not run: a stable code, a text, what to do. All without secrets."""

    code: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]" if self.code else self.text


@dataclass(frozen=True, slots=True)
class Change:
    """A stream entered ``state``; ``seconds`` is how long it was without results."""

    state: StreamState
    reason: Reason | None
    seconds: float


class StreamWatch:
    """One stream of one pipeline, over all the lives of its worker. Times are monotonic nanoseconds."""

    def __init__(self, config: Stream, now_ns: int) -> None:
        self.config = config
        self.state: StreamState = "starting"
        self.since_ns = now_ns
        self.reason: Reason | None = None
        self.counters = ipc.StreamCounters()
        self.codec = ""
        self.width = 0
        self.height = 0
        self.results = 0
        self.failing: str = ""
        # Two frames' time at least: a stream of one frame in ten seconds is not stalled after three.
        frame_s = 1 / config.max_fps if config.max_fps else 0.0
        self.stall_ns = int(1e9 * max(config.stall_after_s, 2 * frame_s))
        patience = max(SILENCE_S, 10 * frame_s, 3 * config.read_timeout_s, 3 * config.stall_after_s)
        self._silence_ns = int(1e9 * patience)
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._source: ipc.StreamChanged | None = None
        # From when silence counts: the last result, or when the worker was ready.
        self._quiet_since_ns: int | None = None

    def worker_started(self) -> None:
        """A new worker: it has said nothing about its sources yet."""
        self._source = None
        self.counters = ipc.StreamCounters()

    def worker_ready(self, now_ns: int) -> None:
        """The model is loaded; from now on frames can be expected."""
        if self.state in {"starting", "failed", "ended"}:
            self._quiet_since_ns = now_ns

    def source_changed(self, message: ipc.StreamChanged, reason: Reason | None, now_ns: int) -> Change | None:
        """The worker told about its source; ``reason`` is what it said, without secrets."""
        self._source = message
        if message.state == "running":
            self.codec, self.width, self.height = message.codec, message.width, message.height
            return None
        if message.state in {"ended", "failed"}:
            return self._enter("ended" if message.state == "ended" else "failed", reason, now_ns)
        if reason is not None:
            self.reason = reason
        return None

    def result(self, message: ipc.Result, now_ns: int) -> Change | None:
        """A result came: the stream runs now, unless the frame is one from before it stalled or ended."""
        self.results += 1
        self.width, self.height = message.width, message.height
        self._latencies_ms.append((now_ns - message.arrived_ns) / 1e6)
        self.failing = message.why or "no reason given" if message.status == "failed" else ""
        if self.state == "stalled" and message.arrived_ns <= self.since_ns:
            return None
        if self._source is not None and self._source.state in {"ended", "failed"}:
            return None  # the last frame was still being looked at when its source ended
        change = None if self.state == "running" else self._enter("running", None, now_ns)
        self._quiet_since_ns = now_ns
        return change

    def tick(self, now_ns: int, pipeline_reason: Reason | None) -> Change | None:
        """Notice that results stay away; ``pipeline_reason`` is why no worker runs, if none does."""
        if self._quiet_since_ns is None or self.state not in {"starting", "running"}:
            return None
        if now_ns - self._quiet_since_ns <= self.stall_ns:
            return None
        return self._enter("stalled", pipeline_reason or self._why_silent(), now_ns)

    def silent_too_long(self, now_ns: int) -> bool:
        """The worker says that the source runs, and yet there is no result: the worker itself is stuck."""
        return (
            self._source is not None
            and self._source.state == "running"
            and now_ns - max(self._source.mono_ns, self._quiet_since_ns or 0) > self._silence_ns
        )

    def latency_ms(self, share: float) -> float | None:
        """The latency that ``share`` of the last results kept, arrival to hand-over; ``None`` without any."""
        if not self._latencies_ms:
            return None
        ordered = sorted(self._latencies_ms)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

    def _why_silent(self) -> Reason:
        if self._source is None or self._source.state == "connecting":
            return self.reason or Reason("source.timeout", "still connecting")
        if self._source.state == "running" or self.reason is None:
            return Reason("source.stalled", OPEN_BUT_SILENT, "check the camera")
        return self.reason

    def _enter(self, state: StreamState, reason: Reason | None, now_ns: int) -> Change:
        quiet_ns = now_ns - (self._quiet_since_ns if self._quiet_since_ns is not None else now_ns)
        self.state, self.reason, self.since_ns = state, reason, now_ns
        return Change(state, reason, quiet_ns / 1e9)
