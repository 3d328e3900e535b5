"""Whoever reads the log: followers get what is kept, and one that does not read holds up nobody."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
import time

import pytest

from agent.logs.line import Line
from agent.logs.recent import FOLLOWER_KEEPS, Recent
from agent.logs.writer import KEPT_BYTES, Writer

pytestmark = pytest.mark.unit


def line(text: str = "text", *, seq: int = 1) -> Line:
    return Line(
        seq=seq,
        time_ms=1_700_000_000_123,
        level=logging.INFO,
        part="link",
        pipeline="",
        text=text,
        exception="",
    )


# --- recent ---


def test_what_is_kept_is_bounded_by_lines_and_by_bytes() -> None:
    recent = Recent(lines=10, size=10_000)
    for seq in range(100):
        recent.add(line(seq=seq))
    assert [each.seq for each in recent.recent()] == list(range(90, 100))
    assert [each.seq for each in recent.recent(3)] == [97, 98, 99]
    assert recent.recent(0) == []
    recent.add(line("x" * 9_600, seq=100))
    assert [each.seq for each in recent.recent()] == [100]
    recent.add(line("x" * 20_000, seq=101))
    assert [each.seq for each in recent.recent()] == [101]


async def following(recent: Recent, count: int, kept: int = 0) -> list[int]:
    found: list[int] = []
    async for each in recent.follow(kept):
        found.append(each.seq)
        if len(found) == count:
            break
    return found


def test_a_follower_gets_the_last_lines_and_each_new_one_from_any_thread() -> None:
    async def run() -> list[int]:
        recent = Recent()
        for seq in range(5):
            recent.add(line(seq=seq))
        task = asyncio.create_task(following(recent, 203, kept=3))
        thread = threading.Thread(target=lambda: [recent.add(line(seq=seq)) for seq in range(5, 205)])
        await asyncio.sleep(0)
        thread.start()
        found = await asyncio.wait_for(task, 10)
        thread.join()
        return found

    assert asyncio.run(run()) == list(range(2, 205))


def test_a_follower_gets_all_that_is_kept_however_much_that_is() -> None:
    recent = Recent()
    for seq in range(2 * FOLLOWER_KEEPS):
        recent.add(line(seq=seq))
    found = asyncio.run(following(recent, 2 * FOLLOWER_KEEPS, kept=2 * FOLLOWER_KEEPS))
    assert found == list(range(2 * FOLLOWER_KEEPS))


def test_a_follower_that_does_not_read_loses_the_oldest_and_can_tell() -> None:
    async def run() -> list[int]:
        recent = Recent()
        lines = recent.follow()
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)
        for seq in range(FOLLOWER_KEEPS + 100):
            recent.add(line(seq=seq))
        found = [(await first).seq, (await anext(lines)).seq]
        await lines.aclose()  # type: ignore[attr-defined]
        assert not recent._followers
        return found

    assert asyncio.run(run()) == [100, 101]


# --- writer ---


def test_a_reader_that_does_not_read_holds_up_nobody_and_is_told_what_it_lost() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    writer = Writer(writing, lost=lambda count: f"lost {count}", idle=lambda: None)
    text = "x" * 999
    slowest = 0.0
    for _ in range(5000):
        began = time.monotonic()
        writer.put(text, urgent=False)
        slowest = max(slowest, time.monotonic() - began)
    writer.put("urgent", urgent=True)
    assert slowest < 1.0  # a pass of supervision is far off; a blocked write would take for ever
    assert not writer.flush(0.05)
    got: list[str] = []
    with os.fdopen(reading) as pipe:
        reader = threading.Thread(target=lambda: got.extend(pipe.read().splitlines()))
        reader.start()
        assert writer.flush(10)
        writer.close()
        os.close(writing)
        reader.join(10)
    assert "urgent" in got
    lost = [each for each in got if each.startswith("lost ")]
    assert sum(int(each.split()[1]) for each in lost) + got.count(text) == 5000
    assert got.count(text) * 1000 <= KEPT_BYTES + 4096  # and what the pipe itself took


def test_what_a_stuck_write_holds_counts_as_kept() -> None:
    reading, writing = os.pipe()
    writer = Writer(writing, lost=str, idle=lambda: None)
    with writer._news:  # so that the thread takes all of it at once
        while not writer._lost:
            writer.put("x" * 999, urgent=True)
    while not writer._writing:
        time.sleep(0.001)
    for _ in range(100):
        writer.put("x" * 999, urgent=True)
    assert writer._lost == 100
    os.close(reading)
    writer.close()
    os.close(writing)


def test_a_reader_that_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = Writer(writing, lost=str, idle=lambda: None)
    for _ in range(10):
        writer.put("x", urgent=True)
    assert writer.flush(10)
    writer.close()
    os.close(writing)


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    writer = Writer(writing, lost=str, idle=lambda: None)
    for number in range(100):
        writer.put(f"{number:0200d}", urgent=False)
    with os.fdopen(reading) as pipe:
        found = [int(pipe.readline()) for _ in range(100)]
        assert found == list(range(100))
        writer.close()
    os.close(writing)
