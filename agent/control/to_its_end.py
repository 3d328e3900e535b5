"""Work that is carried out to its end, whether or not the client that asked for it still waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from runtime.errors import Code, EdgewardError

log = logging.getLogger("control")

# A script that asks again and again, and never waits, must not keep the agent at it for hours.
MOST = 32

_T = TypeVar("_T")
# The event loop itself keeps no task alive.
_at_work: set[asyncio.Task[Any]] = set()


def begin(work: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
    """Start it; what goes wrong is for whoever awaits the task, or else for the log.

    Raises:
        EdgewardError: ``CONTROL_BUSY`` when too much is to be done already.
    """
    if len(_at_work) >= MOST:
        work.close()
        what, remedy = f"{MOST} changes wait for their turn", "wait for their end, and try again"
        raise EdgewardError(Code.CONTROL_BUSY, what, remedy=remedy)
    task = asyncio.create_task(work, name=name)
    _at_work.add(task)
    task.add_done_callback(_ended)
    return task


async def to_its_end(work: Coroutine[Any, Any, _T], name: str) -> _T:
    """Its result; being cancelled meanwhile does not cancel it: half a change helps nobody."""
    return await asyncio.shield(begin(work, name))


async def give_up_all() -> None:
    """The agent leaves: what is half done is left so, since everything stops anyway."""
    tasks = list(_at_work)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ended(task: asyncio.Task[Any]) -> None:
    _at_work.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("%s: %s", task.get_name(), error)
