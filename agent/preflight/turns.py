"""One child at a time: figures are fair then, and memory is promised once. Yet nobody waits for ever."""

from __future__ import annotations

import asyncio
from types import TracebackType

# Whoever loads for longer goes on beside the others: one that hangs must not keep good pipelines waiting.
PATIENCE_S = 20.0


class Turns:
    """Given out in the order in which they were asked for."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.lock = asyncio.Lock()
        self.patience_s = patience_s

    def take(self) -> Turn:
        """To be entered with ``async with``, which waits until it is there."""
        return Turn(self)


class Turn:
    """Held until the end of the block, or for ``patience_s`` seconds when it was not kept by then."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._held = False
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Turn:
        await self._acquire()
        self._timer = asyncio.get_running_loop().call_later(self._turns.patience_s, self._give_up)
        return self

    async def keep(self) -> None:
        """To the end of the block, from now on; waits for it again when it is another's by now."""
        self._cancel_timer()
        if not self._held:
            await self._acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancel_timer()
        self._give_up()

    async def _acquire(self) -> None:
        await self._turns.lock.acquire()
        self._held = True

    def _give_up(self) -> None:
        if self._held:
            self._held = False
            self._turns.lock.release()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
