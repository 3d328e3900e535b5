"""Memory that nobody uses goes back to the kernel, soon and all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

# 60 MB in pieces of 4 KB, of which every hundredth lives on: the heap has no end that could be returned.
SCRIPT = """
import asyncio, ctypes, pathlib

def anonymous_mb():
    lines = pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024

async def main():
    from agent import heap
    pieces = [bytes(4000) for _ in range(15_000)]
    kept = pieces[::100]
    del pieces
    before = anonymous_mb()
    task = asyncio.create_task(heap.keep_trimmed(0.01))
    for _ in range(500):
        await asyncio.sleep(0.01)
        if anonymous_mb() < before - 30:
            break
    task.cancel()
    print(before, anonymous_mb(), len(kept))

asyncio.run(main())
"""


def test_freed_memory_between_what_lives_on_is_returned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    before, after, _ = map(float, done.stdout.split())
    assert before > 50
    assert after < before - 30


LARGE = """
import pathlib
from agent import heap

def mapped_mb():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * 4 / 1024

heap.keep_together()
bytes(20 << 20)  # by default glibc would take blocks of up to this size from its heap from now on
before = mapped_mb()
large, small = bytes(10 << 20), [bytes(600) for _ in range(1000)]
held = mapped_mb()
del large
print(held - before, mapped_mb() - before)
"""


def test_a_large_block_goes_back_when_it_is_freed_whatever_came_after_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, timeout=60
    )
    held, left = map(float, done.stdout.split())
    assert held > 10
    assert left < 2


GARBAGE = """
import asyncio, gc, weakref

class Node:
    pass

async def main():
    from agent import heap
    lasting = [[] for _ in range(100_000)]
    gc.collect()
    task = asyncio.create_task(heap.keep_trimmed(0.01))
    await asyncio.sleep(0)
    node = Node()
    node.itself, ended = node, weakref.ref(node)
    del node
    for _ in range(500):
        if ended() is None:
            break
        await asyncio.sleep(0.01)
    task.cancel()
    print(ended() is None, gc.get_freeze_count() > len(lasting))

asyncio.run(main())
"""


def test_what_only_refers_to_itself_is_collected_without_a_look_at_all_that_lasts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GARBAGE], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["True", "True"]
