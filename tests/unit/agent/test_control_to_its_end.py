"""Changes that are carried out though nobody waits for them, and how many of them."""

from __future__ import annotations

import asyncio

import pytest

from agent.control import to_its_end
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


async def ask_and_leave() -> None:
    gate, done = asyncio.Event(), []

    async def change(number: int) -> None:
        await gate.wait()
        done.append(number)

    for number in range(to_its_end.MOST):
        asked = asyncio.create_task(to_its_end.to_its_end(change(number), "a change"))
        await asyncio.sleep(0)
        asked.cancel()
    with pytest.raises(EdgewardError) as caught:
        await to_its_end.to_its_end(change(-1), "one more")
    assert caught.value.code is Code.CONTROL_BUSY
    gate.set()
    async with asyncio.timeout(5):
        while to_its_end._at_work:
            await asyncio.sleep(0)
    await to_its_end.to_its_end(change(100), "there is room again")
    assert sorted(done) == [*range(to_its_end.MOST), 100]


def test_who_asks_and_leaves_again_and_again_is_refused_at_last() -> None:
    asyncio.run(ask_and_leave())
