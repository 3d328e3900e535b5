"""Does the board slow itself down, for heat or for want of power?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the board runs at its full clock: not slowed down by heat, low voltage or a power limit"


def check(view: View) -> Iterable[Finding]:
    """Warning while it does: frames are dropped that it could otherwise look at."""
    if view.throttled is None:
        return
    if view.throttled:
        yield Finding(
            severity="warning",
            text=f"the board slows itself down: {', '.join(view.throttled)}",
            code="device.throttled",
            remedy="heat: give it air; voltage: use the maker's power supply and a short, thick cable",
        )
    else:
        yield Finding(severity="ok", text="full clock")
