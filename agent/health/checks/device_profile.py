"""Does edgeward know what board it runs on?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the board is one that edgeward has a profile of"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Warning for a board that is not known: limits and temperatures are then guesses."""
    if view.profile_doubt:
        yield Finding(
            severity="warning",
            text=view.profile_doubt,
            code="device.profile",
            remedy="see 'edgeward profile detect'; name the profile that fits as device.profile",
        )
    elif view.profile:
        yield Finding(severity="ok", text=view.profile)
