"""How long a frame takes, over enough rounds to say something about the slow ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from runtime.preflight.messages import MIN_ROUNDS, LatencyFigures
from runtime.source.frame import Frame
from runtime.stages import StageClock

WARM_UP = 5


def measured(
    once: Callable[[Frame], object],
    frames: Sequence[Frame],
    clock: StageClock,
    rounds: int,
    at_most_s: float,
    last_s: float,
    tell: Callable[[int], None],
) -> LatencyFigures:
    """Wall time of ``once`` for each of ``rounds`` frames, after a few that do not count.

    Args:
        once: looks at a frame.
        frames: taken by turns.
        clock: the one that tells what stages cost.
        rounds: wanted; fewer are measured after ``at_most_s`` seconds, yet ``MIN_ROUNDS`` in any case.
        at_most_s: see ``rounds``.
        last_s: after so many seconds, warm-up included, what there is must do: a model that takes seconds for
            a frame is slow, and not stuck. One round is measured in any case.
        tell: is told how many are done, outside of what is measured.
    """
    entered = time.perf_counter()
    for at in range(WARM_UP):
        once(frames[at % len(frames)])
        if time.perf_counter() - entered > at_most_s:
            break
    before = dict(clock.wall_s)
    milliseconds: list[float] = []
    began = time.perf_counter()
    while len(milliseconds) < rounds:
        started = time.perf_counter()
        if len(milliseconds) >= MIN_ROUNDS and started - began > at_most_s:
            break
        if milliseconds and started - entered > last_s:
            break
        once(frames[len(milliseconds) % len(frames)])
        milliseconds.append((time.perf_counter() - started) * 1e3)
        tell(len(milliseconds))
    count = len(milliseconds)
    stages = {name: (spent - before[name]) * 1e3 / count for name, spent in clock.wall_s.items()}
    ordered = sorted(milliseconds)
    return LatencyFigures(
        rounds=count,
        width=frames[0].picture.width,
        height=frames[0].picture.height,
        p50_ms=round(quantile(ordered, 0.5), 3),
        p95_ms=round(quantile(ordered, 0.95), 3),
        max_ms=round(ordered[-1], 3),
        stages_ms={name: round(spent, 3) for name, spent in stages.items() if spent > 0},
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of them do not exceed ("nearest rank")."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
