"""What may hang, on a dead mount say, asked in a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def in_thread(ask: Callable[[], _T]) -> _T:
    """What ``ask`` returns or raises. Not ``asyncio.to_thread``, whose threads are waited for at the end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_T] = loop.create_future()

    def settle(found: Callable[[], None]) -> None:
        if not answer.done():
            found()

    def work() -> None:
        try:
            value = ask()
        except Exception as error:
            tell(lambda raised=error: answer.set_exception(raised))  # type: ignore[misc]
        else:
            tell(lambda: answer.set_result(value))

    def tell(found: Callable[[], None]) -> None:
        # The loop is closed when the time was over long ago: then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=work, name="probe", daemon=True).start()
    return await answer
