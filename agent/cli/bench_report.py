"""What ``edgeward bench`` prints: one JSON document, or a text with a picture of the stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.cli import bench_picture
from agent.cli.bench_capacity import Board, Capacity, Limit, Rate
from agent.cli.bench_measure import Latency, Measurement
from agent.cli.bench_verify import Verdict
from runtime.bundle.ingested import Ingested

LIMITS: dict[Limit, str] = {
    "cpu": "the processors limit it",
    "inference": "the one inference thread limits it, which takes frame after frame",
    "memory": "memory limits it",
}
INTERRUPTED = "interrupted: these are the figures until then"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found. ``rate`` and ``carried`` are None where it is not known."""

    bundle: Ingested
    then: Sequence[Ingested]
    threads: int
    measured: Measurement
    rate: Rate | None
    board: Board
    carried: Capacity | None
    verdicts: Sequence[Verdict]
    as_fast_as_it_goes: bool
    interrupted: bool

    def document(self) -> dict[str, Any]:
        """All of it, for ``--json``; docs/guide/benchmark.md says what each key means."""
        measured = self.measured
        ready, stream, counts = measured.ready, measured.stream, measured.counts
        total = measured.cpu_ms()
        return {
            "bundle": {
                "name": self.bundle.name,
                "version": self.bundle.version,
                "variant": ready.variant if ready else None,
            },
            "then": [{"name": bundle.name, "version": bundle.version} for bundle in self.then],
            "engine": ready.engine if ready else None,
            "provider": ready.provider if ready else None,
            "threads": self.threads,
            "load_ms": round(ready.load_ms, 1) if ready else None,
            "source": {
                "codec": stream.codec if stream else None,
                "width": stream.width if stream else None,
                "height": stream.height if stream else None,
                "fps": round(self.rate.source_fps, 3) if self.rate else None,
            },
            "frames": {
                "decoded": counts.decoded,
                "results": counts.results,
                "failed": counts.failed,
                "dropped": counts.dropped,
                "measured": measured.measured,
            },
            "seconds": round(measured.elapsed_s, 3),
            "fps": round(measured.fps(), 2),
            "as_fast_as_it_goes": self.as_fast_as_it_goes,
            "cpu_ms": round(total, 4),
            "stages": [
                {
                    "name": stage.name,
                    "cpu_ms": round(stage.cpu_ms, 4),
                    "wall_ms": None if stage.wall_ms is None else round(stage.wall_ms, 4),
                    "share": round(stage.cpu_ms / total, 4) if total else 0.0,
                }
                for stage in measured.stages()
            ],
            "latency_ms": _latency(measured.latency()),
            "memory_mb": {
                "loaded": round(measured.memory.loaded, 1),
                "running": round(measured.memory.running, 1),
                "peak": round(measured.memory.peak, 1),
            },
            "board": {
                "cpus": round(self.board.cpus, 2),
                "memory_available_mb": round(self.board.memory_mb, 1),
            },
            "streams": self._streams(),
            "verified": [_verified(verdict) for verdict in self.verdicts],
            "interrupted": self.interrupted,
        }

    def _streams(self) -> dict[str, Any] | None:
        if self.carried is None or self.rate is None:
            return None
        return {
            "count": self.carried.streams,
            "limit": self.carried.limit,
            "fps": round(self.rate.fps, 3),
            "by": {
                limit: round(number, 2) if math.isfinite(number) else None
                for limit, number in self.carried.by.items()
            },
            "one_stream_fps": round(self.carried.one_stream_fps, 2),
        }

    def text(self) -> str:
        """All of it for a person, as wide as the terminal."""
        lines = [*self._what(), ""]
        if self.measured.measured:
            lines += [*bench_picture.stages(self.measured.stages(), self.measured.cpu_ms()), ""]
        lines += self._figures()
        lines += self._capacity()
        for verdict in self.verdicts:
            lines += _verification(verdict)
        if self.interrupted:
            lines.append(INTERRUPTED)
        return "\n".join(lines) + "\n"

    def _what(self) -> list[str]:
        ready, stream = self.measured.ready, self.measured.stream
        lines = []
        if ready:
            threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            variant = f", variant {ready.variant}" if ready.variant else ""
            lines.append(
                f"{self.bundle.name} {self.bundle.version}{variant}, on {ready.engine} ({ready.provider}), "
                f"{threads}, loaded in {ready.load_ms:.0f} ms"
            )
        lines += [f"then {bundle.name} {bundle.version}" for bundle in self.then]
        if stream:
            rate = f" at {self.rate.source_fps:.4g} frames a second" if self.rate else ""
            lines.append(f"{stream.codec} {stream.width}x{stream.height}{rate}")
        return lines

    def _figures(self) -> list[str]:
        measured = self.measured
        latency, memory, counts = measured.latency(), measured.memory, measured.counts
        how = "as fast as it goes" if self.as_fast_as_it_goes else "as the source sends them"
        speed = f"{measured.fps():.1f} frames a second" if measured.results > 1 else "not known"
        frames = f"{measured.results} frame{'s' if measured.results > 1 else ''}"
        lines = [f"speed     {speed}, {how}; {frames}"]
        if latency:
            lines.append(f"latency   {_told(latency)}, from a frame's arrival to its result")
        lines.append(f"memory    {memory.loaded:.0f} MB with the model loaded, {memory.peak:.0f} MB at most")
        gone = [f"{number} {why}" for why, number in counts.dropped.items() if why != "ended"]
        if counts.failed or gone:
            lines.append(f"frames    {counts.failed} failed; dropped: {', '.join(gone) or 'none'}")
        return lines

    def _capacity(self) -> list[str]:
        carried, rate = self.carried, self.rate
        if carried is None or rate is None:
            return [
                "streams   not known: the source does not say how many frames a second it sends; give --fps"
            ]
        of = f"{rate.fps:.4g} frames a second each"
        by = ", ".join(
            f"{number:.1f} by {limit}" for limit, number in carried.by.items() if math.isfinite(number)
        )
        room = f"{self.board.cpus:g} CPUs, {self.board.memory_mb / 1e3:.1f} GB free"
        if carried.streams:
            count = f"{carried.streams} such stream{'s' if carried.streams > 1 else ''}"
            return [
                f"streams   this board ({room}) carries {count} at {of}",
                f"          {LIMITS[carried.limit]}: {by}",
            ]
        return [
            f"streams   this board ({room}) does not carry one such stream at {of}",
            f"          {LIMITS[carried.limit]}: {by}; at most {carried.one_stream_fps:.1f} frames a second",
        ]


def _verified(verdict: Verdict) -> dict[str, Any]:
    return {
        "streams": verdict.streams,
        "kept": verdict.kept,
        "seconds": round(verdict.seconds, 2),
        "wanted_fps": round(verdict.wanted_fps, 3),
        "lowest_fps": round(verdict.lowest_fps, 3),
        "dropped": round(verdict.dropped, 4),
        "latency_ms": _latency(verdict.latency),
        "cpus": round(verdict.cpus, 3),
        "memory_mb": round(verdict.memory_mb, 1),
        "interrupted": verdict.interrupted,
    }


def _verification(verdict: Verdict) -> list[str]:
    many = f"{verdict.streams} stream{'s' if verdict.streams > 1 else ''}"
    kept = "all kept their rate" if verdict.kept else "NOT all kept their rate"
    lines = [
        f"verified  {many} in real time for {verdict.seconds:.0f} s, all frames at the same time: {kept}",
        f"          slowest {verdict.lowest_fps:.2f} of {verdict.wanted_fps:.4g} frames a second, "
        f"{verdict.dropped * 100:.1f} % of all frames dropped; "
        f"{verdict.cpus:.2f} CPUs, {verdict.memory_mb:.0f} MB",
    ]
    if verdict.latency:
        lines.append(f"          latency {_told(verdict.latency)}")
    return lines


def _latency(latency: Latency | None) -> dict[str, float] | None:
    if latency is None:
        return None
    return {"p50": round(latency.p50, 2), "p95": round(latency.p95, 2), "max": round(latency.max, 2)}


def _told(latency: Latency) -> str:
    return f"{latency.p50:.1f} ms (median), {latency.p95:.1f} ms (95 %), {latency.max:.1f} ms (most)"
