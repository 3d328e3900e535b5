"""Times that a client may ask the agent to wait."""

from __future__ import annotations

import math

from runtime.errors import Code, EdgewardError

LONGEST_S = 3600.0


def check_wait(seconds: float) -> float:
    """A time that makes sense.

    Raises:
        EdgewardError: ``USAGE``.
    """
    if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST_S:
        what, remedy = f"{seconds:g} is no time to wait", f"use 0 to {LONGEST_S:g} seconds"
        raise EdgewardError(Code.USAGE, what, where="wait_s", remedy=remedy)
    return seconds
