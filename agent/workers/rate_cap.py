"""Bounds how many messages a worker may send: a flood is no result, however well each one reads."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.errors import Code, EdgewardError

# What came in while the agent was held up is no flood.
BURST = 10_000
# Of each stream, whatever its camera says of itself: none is faster.
_SLOWEST, _FASTEST = 60.0, 1000.0
_ALLOWANCE = 4.0
# States of streams, metrics, answers.
_OTHERS_PER_S = 50.0


class RateCap:
    """A bucket that fills with what the streams of a worker can give at most, ``_ALLOWANCE`` times over."""

    def __init__(self, now_ns: int) -> None:
        self._filled_ns = now_ns
        self._left = float(BURST)

    def take(self, rates: Iterable[float], now_ns: int) -> None:
        """One more message came at ``now_ns``; ``rates`` are the streams' results a second, 0 for not known.

        Raises:
            EdgewardError: ``WORKER_PROTOCOL`` when there were too many.
        """
        self._left -= 1
        if self._left >= 0:
            return
        per_s = _OTHERS_PER_S + _ALLOWANCE * sum(min(max(rate, _SLOWEST), _FASTEST) for rate in rates)
        self._left = min(BURST, self._left + per_s * (now_ns - self._filled_ns) / 1e9)
        self._filled_ns = now_ns
        if self._left < 0:
            what = f"the worker floods the agent: over {per_s:.0f} messages a second"
            raise EdgewardError(Code.WORKER_PROTOCOL, what, remedy="see its last lines; replace its bundle")
