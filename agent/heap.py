"""Gives freed memory back to the kernel now and then.

A message is some hundred bytes to some kilobytes that live for milliseconds, or for minutes while the broker
is away. What lives longer lands between them, so the C library finds no end of its heap that it could return:
the soak saw half a megabyte go with each outage, of which Python held nothing. ``malloc_trim(3)`` returns
whole pages from the middle too; that takes a few milliseconds at most, once a minute.
"""

from __future__ import annotations

import asyncio
import ctypes

INTERVAL_S = 60.0


async def keep_trimmed(interval_s: float = INTERVAL_S) -> None:
    """Return freed pages each ``interval_s`` seconds until cancelled; does nothing where libc cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
    while True:
        await asyncio.sleep(interval_s)
        if trim is not None:
            trim(0)
