"""Does somebody notice when the agent itself is stuck?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "systemd watches the agent and restarts it when it makes no progress"


def check(view: View) -> Iterable[Finding]:
    """Warning when systemd runs the agent without a watchdog."""
    if view.watchdog_missing:
        yield Finding(
            severity="warning",
            text="systemd does not watch the agent",
            code="system.watchdog",
            remedy="set WatchdogSec=30 in the unit, or take the one in packaging/systemd",
        )
