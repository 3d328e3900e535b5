"""Are detection rates lowered to spare the board?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "streams run at their full rate: the governor has not lowered it"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Warning while rates are lowered, with the reasons."""
    if view.governor is None:
        return
    if not view.governor:
        yield Finding(severity="ok", text="full rate")
        return
    yield Finding(
        severity="warning",
        text=f"detection rates are lowered: {', '.join(view.governor)}",
        code="device.governed",
        remedy="cool the board or mend its power supply; the rates come back by themselves",
    )
