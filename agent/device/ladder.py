"""The governor's decision as a pure state machine: which rate, given what is measured and what time it is.

Steps go down soon and come back slowly. Each step up that had to be taken back makes the next one wait twice
as long, so that a board that is just too hot settles instead of swinging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Wish = Literal["down", "stay", "up"]


@dataclass(frozen=True, slots=True)
class Sign:
    """What one thing that is watched calls for, and why. ``urgent``: two steps at once, without a pause.

    The governor goes up only when every sign says "up".
    """

    source: str
    wish: Wish
    text: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The rate changed from ``before`` to ``rate``, and why."""

    before: float
    rate: float
    level: int
    reasons: tuple[str, ...]


class Ladder:
    """Level 0 is the full rate. Times in seconds on one monotonic clock.

    Args:
        steps: factors of the rate, from 1 downwards.
        hold_s: pause between two steps down, in which the board answers to the first.
        recover_s: so long nothing may call for less before one step up is taken.
        longest_recover_s: the most that this time grows to.
    """

    def __init__(
        self, steps: Sequence[float], *, hold_s: float, recover_s: float, longest_recover_s: float
    ) -> None:
        self._steps = tuple(steps)
        self._hold_s = hold_s
        self._recover_s = recover_s
        self._longest_s = longest_recover_s
        self._wait_s = recover_s
        self._changed_s = self._eased_s = float("-inf")
        self._went_up = False
        # Steps up that have neither been taken back nor proved right.
        self._on_trial = 0
        self._calm_since_s: float | None = None
        self._holding: frozenset[str] = frozenset()
        self.level = 0
        self.reasons: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """The factor that holds now."""
        return self._steps[self.level]

    @property
    def recovers_in_s(self) -> float:
        """How long it has to be calm before a step up."""
        return self._wait_s

    def look(self, now_s: float, signs: Sequence[Sign]) -> Step | None:
        """Judge what was measured at ``now_s``; the step that follows from it, if one does."""
        down = [sign for sign in signs if sign.wish == "down"]
        holding = down or [sign for sign in signs if sign.wish == "stay"]
        if holding:
            self._calm_since_s = None
            step = self._down(now_s, down) if down else None
            self._explain(holding)
            return step
        if self._calm_since_s is None:
            self._calm_since_s = now_s
        proved = self._on_trial or self.level == 0
        if proved and now_s - max(self._changed_s, self._eased_s) >= self._longest_s:
            self._on_trial = 0  # the steps up have proved right
            self._wait_s = max(self._recover_s, self._wait_s / 2)
            self._eased_s = now_s
        if self.level == 0 or now_s - self._calm_since_s < self._wait_s:
            return None
        self._calm_since_s = now_s
        self._went_up = True
        self._on_trial += 1
        return self._go(now_s, self.level - 1, ("what called for less is over",))

    def _explain(self, signs: Sequence[Sign]) -> None:
        """Why the rate is lowered: what holds it now. On a way up that stays: why it is not full yet."""
        sources = frozenset(f"{sign.wish} {sign.source}" for sign in signs)
        if self.level and sources != self._holding:  # figures change at each look: they are no news
            self._holding, self.reasons = sources, tuple(sign.text for sign in signs)

    def _down(self, now_s: float, signs: Sequence[Sign]) -> Step | None:
        urgent = any(sign.urgent for sign in signs)
        since_s = now_s - self._changed_s
        # What a step up has brought about needs no pause: it is taken back.
        pause_s = 0.0 if self._went_up else self._hold_s / 3 if urgent else self._hold_s
        if self.level == len(self._steps) - 1 or since_s < pause_s:
            return None
        level = min(len(self._steps) - 1, self.level + (2 if urgent else 1))
        undone = min(self._on_trial, level - self.level)
        self._wait_s = min(self._longest_s, self._wait_s * 2**undone)
        self._on_trial -= undone
        self._went_up = False
        return self._go(now_s, level, tuple(sign.text for sign in signs))

    def _go(self, now_s: float, level: int, reasons: tuple[str, ...]) -> Step:
        before = self.rate
        self.level, self._changed_s = level, now_s
        self._holding = frozenset()
        if level == 0:
            self.reasons = ()
        return Step(before, self.rate, level, reasons)
