"""Questions to a worker that wait for their answers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import msgspec

from runtime import ipc
from runtime.errors import Code, EdgewardError


class Requests:
    """The questions of one life of a worker, by number; bounded, for a worker that answers nothing."""

    MOST = 64

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ipc.Reply]] = {}

    async def ask(
        self, send: Callable[[ipc.ToWorker], None], request: ipc.Request, timeout_s: float
    ) -> ipc.Reply:
        """Send ``request`` with a number of its own and wait for the reply of that number.

        Raises:
            EdgewardError: ``SYSTEM_BUSY`` with too many open questions; ``WORKER_HUNG`` when no reply comes
                within ``timeout_s`` seconds; ``WORKER_DIED`` when the worker ends before it answers.
        """
        if len(self._waiting) >= self.MOST:
            what = f"{self.MOST} requests to the worker wait for their answers"
            raise EdgewardError(Code.SYSTEM_BUSY, what, remedy="try again later")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            numbered: ipc.ToWorker = msgspec.structs.replace(request, id=number)  # type: ignore[assignment]
            send(numbered)
            async with asyncio.timeout(timeout_s):
                reply: ipc.Reply = await answer
                return reply
        except TimeoutError as error:
            what = f"the worker did not answer within {timeout_s:g} s"
            remedy = "see whether its pipeline runs, and try again"
            raise EdgewardError(Code.WORKER_HUNG, what, remedy=remedy) from error
        finally:
            del self._waiting[number]

    def resolve(self, reply: ipc.Reply) -> None:
        """An answer came; one that nobody waits for any more is dropped."""
        waiting = self._waiting.get(reply.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def end(self) -> None:
        """The worker is gone: nobody answers any more."""
        for waiting in self._waiting.values():
            if not waiting.done():
                remedy = "try again once its pipeline runs"
                waiting.set_exception(
                    EdgewardError(Code.WORKER_DIED, "the worker ended before it answered", remedy=remedy)
                )
