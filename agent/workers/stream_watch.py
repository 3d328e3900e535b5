"""What the agent knows about one stream, judged by its results and by nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent.config import Stream
from agent.health.latency import Latency
from agent.workers.limits import Limits
from agent.workers.rate import RecentRate
from agent.workers.reason import Reason
from runtime import ipc

StreamState = Literal["starting", "running", "stalled", "failed", "ended"]
OPEN_BUT_SILENT = "the stream is open but sends nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """A stream entered ``state``; ``seconds`` is how long it was without results."""

    state: StreamState
    reason: Reason | None
    seconds: float


class StreamWatch:
    """One stream of one pipeline, over all the lives of its worker. Times are monotonic nanoseconds."""

    def __init__(self, config: Stream, now_ns: int, *, silence_s: float = Limits.silence) -> None:
        self.config = config
        self._least_silence_s = silence_s
        self.state: StreamState = "starting"
        self.since_ns = now_ns
        self.reason: Reason | None = None
        self.counters = ipc.StreamCounters()
        self.codec = ""
        self.width = 0
        self.height = 0
        self.results = 0
        self.failing: str = ""
        self.follow_rate(1.0)
        # From arrival to hand-over, over all the lives of the worker.
        self.latency = Latency()
        self.last_result_ns: int | None = None
        self.recent = RecentRate()
        self.watched_from_ns = now_ns
        self._source: ipc.StreamChanged | None = None
        # From when silence counts: the last result, or when the worker was ready.
        self._quiet_since_ns: int | None = None

    @property
    def expected_fps(self) -> float:
        """The most that it gives: as configured, else what its source says of itself; 0 for not known."""
        declared = self._source.declared_fps if self._source is not None else 0.0
        return self.config.max_fps or declared

    def succeed(self, former: StreamWatch) -> None:
        """Count on from ``former``, which had this stream's name: what it counted must not go back."""
        self.results, self.latency = former.results, former.latency

    def follow_rate(self, factor: float) -> None:
        """Expect so much less (over 0, up to 1) of what it gives: the device takes it slowly."""
        config, fps = self.config, self.config.max_fps * factor
        # Two frames' time at least: a stream of one frame in ten seconds is not stalled after three.
        frame_s = 1 / fps if fps else 0.0
        # A stream without max_fps, or one that a busy device serves more seldom, has longer pauses too.
        quiet_s = config.stall_after_s / factor
        self.stall_ns = int(1e9 * max(quiet_s, 2 * frame_s))
        patience = max(self._least_silence_s, 10 * frame_s, 3 * config.read_timeout_s, 3 * quiet_s)
        self._silence_ns = int(1e9 * patience)

    def begun(self, now_ns: int) -> None:
        """Its pipeline is started anew: once a worker is ready, results are expected again."""
        if self.state == "ended":
            self._enter("starting", None, now_ns)

    def stopped(self, why: Reason, now_ns: int) -> Change | None:
        """Its pipeline was stopped on request: nothing is expected of it."""
        self.failing = ""
        return None if self.state == "ended" else self._enter("ended", why, now_ns)

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
        self.last_result_ns = now_ns
        self.recent.count(now_ns)
        self.latency.record((now_ns - message.arrived_ns) / 1e6, now_ns)
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

    def latency_ms(self, share: float, now_ns: int | None = None) -> float | None:
        """The latency that ``share`` of the results of the last minute or two kept; ``None`` without any."""
        return self.latency.quantile(share, time.monotonic_ns() if now_ns is None else now_ns)

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


def watches(
    before: Mapping[str, StreamWatch], streams: Iterable[Stream], now_ns: int, rate: float, silence_s: float
) -> dict[str, StreamWatch]:
    """By name; streams that stay as they are keep their watches, changed ones what they have counted."""
    found = {}
    for stream in streams:
        former = before.get(stream.name)
        if former is None or former.config != stream:
            watch = StreamWatch(stream, now_ns, silence_s=silence_s)
            if former is not None:
                watch.succeed(former)
            watch.follow_rate(rate)
            former = watch
        found[stream.name] = former
    return found
