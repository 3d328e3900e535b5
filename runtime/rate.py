"""Fewer frames than could be looked at, when the agent asks for it: the board is hot, or short of power.

A share of what would be looked at otherwise: of the frames that a stream offers, or, where the model is
slower than these, of those that it manages. Else a slow model would not notice that half of its frames stay
away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

# How much of the newest interval goes into the mean of a stream.
_NEWEST = 0.1
_LOAD_HOLDS_S = 1.0


class Rate:
    """The share of frames to look at, for all streams of a worker.

    Each stream calls ``share_for`` from its own thread and writes to its own keys only; that a load is a
    frame old does no harm, so there is no lock on the way of a frame.
    """

    def __init__(self, streams: Iterable[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._factor = 1.0
        self._last_s: dict[str, float | None] = dict.fromkeys(streams)
        self._interval_s: dict[str, float] = dict.fromkeys(self._last_s, 0.0)
        self._cost_s = 0.0
        self._load, self._load_from_s = 0.0, float("-inf")

    def set(self, factor: float) -> None:
        """Look at ``factor`` (above 0, at most 1) of what would be looked at otherwise."""
        self._factor = min(1.0, max(0.001, factor))
        self._load_from_s = float("-inf")

    def worked(self, seconds: float, frames: int) -> None:
        """Inference took ``seconds`` for ``frames`` frames."""
        if frames:
            each_s = seconds / frames
            self._cost_s = self._cost_s + _NEWEST * (each_s - self._cost_s) if self._cost_s else each_s

    def share_for(self, stream: str) -> float:
        """``stream`` offers a frame: the share of such frames to look at."""
        now_s = self._clock()
        last_s, self._last_s[stream] = self._last_s[stream], now_s
        if last_s is not None:
            mean_s = self._interval_s[stream]
            newest_s = now_s - last_s
            self._interval_s[stream] = mean_s + _NEWEST * (newest_s - mean_s) if mean_s else newest_s
        if self._factor >= 1.0:
            return 1.0
        if now_s - self._load_from_s >= _LOAD_HOLDS_S:
            self._load, self._load_from_s = self._load_now(now_s), now_s
        return self._factor / max(1.0, self._load)

    def _load_now(self, now_s: float) -> float:
        """How busy inference would be with all that is offered: over 1, it cannot keep up."""
        offered = 0.0
        for stream, mean_s in self._interval_s.items():
            last_s = self._last_s[stream]
            if last_s is not None and mean_s > 0:
                offered += 1 / max(mean_s, now_s - last_s)
        return offered * self._cost_s
