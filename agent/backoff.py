"""How long to wait before the next try: doubling, with jitter, bounded."""

from __future__ import annotations

import random


class Backoff:
    """Delays of about ``first``, twice that, and so on up to ``ceiling`` seconds.

    Each is drawn from the upper half of its range, so that a thousand devices that lost the same broker
    do not come back in the same moment.
    """

    def __init__(self, first_s: float, ceiling_s: float) -> None:
        self._first = first_s
        self._ceiling = ceiling_s
        self._random = random.Random()  # noqa: S311 - jitter, no secret
        self._next = first_s

    def next_delay(self) -> float:
        """The delay to wait now, in seconds."""
        delay = self._next * self._random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._ceiling)
        return delay

    def reset(self) -> None:
        """Back to the start, after things went well for a while."""
        self._next = self._first
