"""Interleaved rounds: what is compared is measured in turns, so that drift of the machine hits all alike."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Median of round-by-round ratios and their spread (10th and 90th percentile)."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """Of one value a round."""
        ordered = sorted(values)
        tenth = len(ordered) // 10
        return cls(statistics.median(ordered), ordered[tenth], ordered[-1 - tenth])

    def __str__(self) -> str:
        return f"{self.median:6.2f}  ({self.low:.2f} .. {self.high:.2f})"


@dataclass(frozen=True)
class Rounds:
    """CPU seconds of each contender, round by round."""

    seconds: dict[str, list[float]]

    def median_ms(self, name: str, per: int = 1) -> float:
        """Median CPU milliseconds of a contender, divided by ``per``."""
        return statistics.median(self.seconds[name]) * 1e3 / per

    def ratio(self, over: str, under: str) -> Ratio:
        """``over / under``, from the pairs of each round."""
        return Ratio.of([a / b for a, b in zip(self.seconds[over], self.seconds[under], strict=True)])


def interleave(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Call each contender once a round, after one round that is thrown away.

    Args:
        contenders: name and a call that returns the CPU seconds it took.
        rounds: rounds that count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        # Nobody always runs behind the same neighbour, who may leave the caches and the memory in disorder.
        for name, call in random.Random(number).sample(list(contenders.items()), len(contenders)):
            took = call()
            if number:
                seconds[name].append(took)
    return Rounds(seconds)
