"""Turns are taken in order, given up by whoever takes long, and lost by nobody who is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from agent.preflight.turns import Turns

pytestmark = pytest.mark.unit


def test_one_at_a_time_in_the_order_of_asking() -> None:
    async def scene() -> None:
        turns = Turns()
        told: list[str] = []

        async def one(name: str) -> None:
            async with turns.take():
                told.append(f"{name} begins")
                await asyncio.sleep(0)
                told.append(f"{name} ends")

        await asyncio.gather(one("a"), one("b"), one("c"))
        assert told == [f"{name} {verb}" for name in "abc" for verb in ("begins", "ends")]

    asyncio.run(scene())


def test_whoever_takes_long_lets_the_next_one_in_and_waits_before_it_measures() -> None:
    async def scene() -> None:
        turns = Turns(patience_s=0.01)
        kept = asyncio.Event()
        told: list[str] = []

        async def loads_for_long() -> None:
            async with turns.take() as turn:
                await kept.wait()  # only after the other one has its turn
                await turn.keep()
                told.append("late")

        async def measures() -> None:
            async with turns.take() as turn:
                await turn.keep()
                kept.set()
                await asyncio.sleep(0.05)
                told.append("measured")

        await asyncio.gather(loads_for_long(), measures())
        assert told == ["measured", "late"]
        assert not turns.lock.locked()

    asyncio.run(scene())


def test_one_that_is_cancelled_while_it_waits_or_has_it_keeps_nobody_waiting() -> None:
    async def scene() -> None:
        turns = Turns()
        entered = asyncio.Event()

        async def has_it() -> None:
            async with turns.take() as turn:
                await turn.keep()
                entered.set()
                await asyncio.Event().wait()

        holder = asyncio.create_task(has_it())
        await entered.wait()
        waiter = asyncio.create_task(has_it())
        await asyncio.sleep(0)
        for task in (waiter, holder):
            task.cancel()
        await asyncio.gather(waiter, holder, return_exceptions=True)
        async with asyncio.timeout(1), turns.take():
            pass
        assert not turns.lock.locked()

    asyncio.run(scene())
