"""What the table of ``edgeward top`` shows: rows in an order, and how a frame rate went."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.cli.paint import duration, fit, megabytes

if TYPE_CHECKING:
    from agent.control import control_pb2 as pb

KEPT = 12
COLUMNS = ("PIPELINE, STREAM", "STATE", "FOR", "FPS", "RECENT FPS", "P50", "P95", "DROPPED", "MEMORY")
_BARS = "▁▂▃▄▅▆▇█"
_NAME = 28
# What needs a look comes first.
_BADNESS = ("quarantined", "failed", "backoff", "stalled", "preflight", "verifying", "starting")


@dataclass(frozen=True, slots=True)
class Row:
    """A pipeline, or one of its streams: ``stream`` is empty for the pipeline itself."""

    pipeline: str
    stream: str
    state: str
    cells: tuple[str, ...]

    @property
    def key(self) -> str:
        """Names it in the table; a name of a pipeline or stream has no slash in it."""
        return f"{self.pipeline}/{self.stream}"


class History:
    """The last frame rates of each stream."""

    def __init__(self) -> None:
        self._rates: dict[str, deque[float]] = {}

    def note(self, status: pb.Status) -> None:
        """Take the rates of now; streams that are gone are forgotten."""
        now = {
            f"{pipeline.name}/{stream.name}": stream.fps
            for pipeline in status.pipelines
            for stream in pipeline.streams
        }
        self._rates = {key: self._rates.get(key, deque(maxlen=KEPT)) for key in now}
        for key, fps in now.items():
            self._rates[key].append(fps)

    def sparkline(self, key: str) -> str:
        """A bar for each of the last rates, the highest of them full."""
        rates = self._rates.get(key, ())
        most = max(rates, default=0.0)
        if most <= 0:
            return _BARS[0] * len(rates)
        return "".join(
            _BARS[min(len(_BARS) - 1, int(rate / most * (len(_BARS) - 1) + 0.5))] for rate in rates
        )


_Stream = tuple["pb.Pipeline", "pb.Stream"]
# By name the streams stand below their pipelines; in the other orders streams stand alone.
ORDERS: dict[str, Callable[[_Stream], tuple[object, ...]]] = {
    "name": lambda pair: (pair[0].name, pair[1].name),
    "state": lambda pair: (_badness(pair), pair[0].name, pair[1].name),
    "fps": lambda pair: (pair[1].fps, pair[0].name, pair[1].name),
    "latency": lambda pair: (-pair[1].latency_p95_ms, pair[0].name, pair[1].name),
    "dropped": lambda pair: (-pair[1].dropped, pair[0].name, pair[1].name),
}


def _badness(pair: _Stream) -> int:
    state = pair[0].state if pair[0].state != "running" else pair[1].state
    return _BADNESS.index(state) if state in _BADNESS else len(_BADNESS)


def rows(status: pb.Status, history: History, order: str = "name") -> list[Row]:
    """The rows in that order, one of ``ORDERS``."""
    if order == "name":
        found = []
        for pipeline in sorted(status.pipelines, key=lambda item: item.name):
            found.append(_of_pipeline(pipeline))
            found += [_of_stream(pipeline, stream, history, alone=False) for stream in pipeline.streams]
        return found
    pairs = [(pipeline, stream) for pipeline in status.pipelines for stream in pipeline.streams]
    return [
        _of_stream(pipeline, stream, history, alone=True)
        for pipeline, stream in sorted(pairs, key=ORDERS[order])
    ]


def _of_pipeline(item: pb.Pipeline) -> Row:
    memory = megabytes(item.memory_mb) if item.HasField("memory_mb") else ""
    cells = (fit(item.name, _NAME), item.state, duration(item.for_s), "", "", "", "", "", memory)
    return Row(item.name, "", item.state, cells)


def _of_stream(pipeline: pb.Pipeline, stream: pb.Stream, history: History, *, alone: bool) -> Row:
    name = f"{pipeline.name}/{stream.name}" if alone else f"  {stream.name}"
    cells = (
        fit(name, _NAME),
        stream.state,
        duration(stream.for_s),
        f"{stream.fps:.1f}",
        history.sparkline(f"{pipeline.name}/{stream.name}"),
        f"{stream.latency_p50_ms:.0f}" if stream.HasField("latency_p50_ms") else "-",
        f"{stream.latency_p95_ms:.0f}" if stream.HasField("latency_p95_ms") else "-",
        str(stream.dropped),
        "",
    )
    return Row(pipeline.name, stream.name, stream.state, cells)


def headline(status: pb.Status) -> str:
    """The device in one line."""
    device = status.device
    heat = f", {device.temperature_c:.0f} °C" if device.HasField("temperature_c") else ""
    link = "connected" if status.link.connected else "NOT connected"
    rate = f"  streams at {status.governor.rate:.0%}" if status.governor.level else ""
    load = f"CPU {device.cpu_percent:.0f} %, memory {device.memory_percent:.0f} %{heat}"
    title = device.profile_title or device.profile or device.machine
    return f"{device.id}  {title}  {load}  broker {link}{rate}  up {duration(status.uptime_s)}"
