"""How many streams a board carries, from what one of them costs: plain arithmetic, no measuring.

Three things can run out. Processors: every decoded frame costs its decoding, every frame that is looked at
the rest. The inference thread of the worker: it takes one frame after the other, so its wall time a frame
counts, whatever it waits for. Memory: what the loaded model needs once, and each stream on top of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# Cores that are all busy are slower than one beside an idle one (caches, memory, hyper-threads): with ten
# streams a frame cost a fifth more than with one. And the agent and the system live here too.
CPU_HEADROOM = 0.7
HEADROOM = 0.9

Limit = Literal["cpu", "inference", "memory"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one stream costs.

    Attributes:
        decode_cpu_s: CPU seconds of each decoded frame.
        look_cpu_s: CPU seconds of each frame that is looked at, beyond its decoding.
        serial_wall_s: wall seconds of each such frame in the inference thread.
        once_mb: memory of a worker with its loaded model, before the first frame.
        stream_mb: memory that each stream adds.
    """

    decode_cpu_s: float
    look_cpu_s: float
    serial_wall_s: float
    once_mb: float
    stream_mb: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Frames a second of one stream: those that its source sends, and those that are looked at of them."""

    source_fps: float
    fps: float

    @property
    def densest_fps(self) -> float:
        """At its densest: 10 of 15 frames are every first and second of three, which come as 15 do.

        The frame before must be done when the next one comes, so this is what the inference thread has to
        keep up with, at least when the frames of all streams come at the same time.
        """
        every = max(1, math.floor(self.source_fps / self.fps + 1e-6))
        return self.source_fps / every


@dataclass(frozen=True, slots=True)
class Board:
    """What this process may use: CPUs (a quota makes it a fraction) and memory that is free for it, MB."""

    cpus: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """``streams`` is what fits, ``limit`` what runs out first, ``by`` what each would allow, in streams.

    ``one_stream_fps`` is the highest rate at which a single stream of this source can be looked at.
    """

    streams: int
    limit: Limit
    by: dict[Limit, float]
    one_stream_fps: float


def capacity(cost: Cost, rate: Rate, board: Board) -> Capacity:
    """The number of streams of ``rate`` that ``board`` carries at ``cost`` each, with headroom."""
    cpu_s = cost.decode_cpu_s * rate.source_fps + cost.look_cpu_s * rate.fps
    by: dict[Limit, float] = {
        "cpu": _times(board.cpus * CPU_HEADROOM, cpu_s),
        "inference": _times(HEADROOM, cost.serial_wall_s * rate.densest_fps),
        "memory": _times(max(0.0, board.memory_mb * HEADROOM - cost.once_mb), cost.stream_mb),
    }
    limit = min(by, key=by.__getitem__)
    streams = math.floor(by[limit]) if math.isfinite(by[limit]) else 0
    return Capacity(streams, limit, by, _one_stream_fps(cost, rate, board))


def _times(have: float, each: float) -> float:
    """How often ``each`` is in ``have``: infinitely often when it is nothing, and never in nothing."""
    if have <= 0:
        return 0.0
    return have / each if each > 0 else math.inf


def _one_stream_fps(cost: Cost, rate: Rate, board: Board) -> float:
    """What is left for looking once every frame of one stream is decoded; not more than the source sends."""
    left = board.cpus * CPU_HEADROOM - cost.decode_cpu_s * rate.source_fps
    by_cpu = _times(max(0.0, left), cost.look_cpu_s)
    by_inference = _times(HEADROOM, cost.serial_wall_s)
    return min(by_cpu, by_inference, rate.source_fps)
