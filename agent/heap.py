"""Gives freed memory back to the kernel now and then.

A message is some hundred bytes to some kilobytes that live for milliseconds, or for minutes while the broker
is away. What lives longer lands between them, so the C library finds no end of its heap that it could return:
the soak saw half a megabyte go with each outage, of which Python held nothing. ``malloc_trim(3)`` returns
whole pages from the middle too; that takes a few milliseconds at most, once a minute.

Before that, what only refers to itself (a task and its exception) is collected. Python does so by itself only
when such objects are a quarter of all that live, which here are the many of the modules: that takes an hour
and megabytes. So those are set apart, and a collection looks at the few that came after the start: it takes
microseconds, where one of all objects took 28 ms.

And the C library is told not to spread: one arena for all threads, of which only that of the event loop needs
much, and for each block of 64 KiB and more (a message with masks, a picture) a mapping of its own, which is
gone when it is freed. Left to itself glibc raises that bound up to 32 MiB as such blocks come and go, see
mallopt(3).
"""

from __future__ import annotations

import asyncio
import ctypes
import gc

INTERVAL_S = 60.0
# malloc.h: M_MMAP_THRESHOLD and M_ARENA_MAX.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_OWN_MAPPING_BYTES = 64 << 10


def keep_together() -> None:
    """Tell the C library not to spread what it allocates; before the first thread. Nothing without glibc."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None:
        tell(_ARENA_MAX, 1)
        tell(_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)


async def keep_trimmed(interval_s: float = INTERVAL_S) -> None:
    """Collect garbage and return freed pages, where libc can, each ``interval_s`` seconds until cancelled.

    Call it once the agent is set up: what is there then is taken to stay.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(interval_s)
        gc.collect()
        if trim is not None:
            trim(0)
