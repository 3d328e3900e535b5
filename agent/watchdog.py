"""Feeds systemd's watchdog from the agent's own progress, and from nothing else.

An event loop that turns proves little: a supervisor that is stuck, a link whose thread waits for ever or a
disk that no longer answers would be fed for years. So each part says when it last got round, and each has a
time in which it must.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.systemd import Notifier

log = logging.getLogger("agent")

# Without a service manager the parts are looked at all the same: what is stuck is in the log.
USUAL_S = 30.0
LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """``turned`` tells the monotonic time of its last full turn, ``limit_s`` how old it may be; seconds."""

    name: str
    limit_s: float
    turned: Callable[[], float]

    def late_s(self, now: float) -> float:
        """By how many seconds it is over its time; 0 when it is not."""
        return max(0.0, now - self.turned() - self.limit_s)


class Watchdog:
    """Runs as one task, ``run``; ``status`` makes the line of ``systemctl status``."""

    def __init__(self, notifier: Notifier, parts: Sequence[Part], status: Callable[[], str]) -> None:
        self._notifier = notifier
        self._parts = tuple(parts)
        self._status = status
        self._every_s = (notifier.watchdog_s or USUAL_S) / 3
        self._fed = float("-inf")
        self._late: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look, feed and tell, until cancelled."""
        pause = min(self._every_s, LONGEST_PAUSE_S)
        while True:
            self.look(time.monotonic())
            await asyncio.sleep(pause)

    def look(self, now: float) -> None:
        """Feed the watchdog if every part got round in its time; otherwise say which did not, once."""
        late = frozenset(part.name for part in self._parts if part.late_s(now) > 0)
        for part in self._parts:
            if part.name in late - self._late:
                log.critical(
                    "%s made no progress for %.0f s: the watchdog is not fed any more",
                    part.name,
                    part.limit_s + part.late_s(now),
                )
            elif part.name in self._late - late:
                log.warning("%s makes progress again", part.name)
        self._late = late
        if late:
            self._notifier.status(f"no progress: {', '.join(sorted(late))}")
            return
        if now - self._fed >= self._every_s * 0.9:
            self._fed = now
            self._notifier.watchdog()
        self._notifier.status(self._status())
