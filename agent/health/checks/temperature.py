"""Is the board cool enough to run at full speed?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.threshold import Ceiling
from agent.health.view import Finding, View

MEANING = "no part of the board is near the temperature at which it slows itself down"
AFTER_S = 10.0
MARGIN_C = 5.0


def check(view: View) -> Iterable[Finding]:
    """Warning from where the governor acts, critical from where the board throttles; by zone."""
    for name, zone in view.zones.items():
        thresholds = Ceiling(zone.warn_c, zone.limit_c, MARGIN_C)
        severity = thresholds.judge(zone.celsius, view.before("temperature", name))
        if severity == "ok":
            yield Finding(subject=name, severity="ok", text=f"under {zone.warn_c:g} degrees Celsius")
            continue
        limit = zone.limit_c if severity == "critical" else zone.warn_c
        yield Finding(
            subject=name,
            severity=severity,
            text=f"over {limit:g} degrees Celsius",
            code="device.hot",
            remedy="give the board air: clean its fan and heat sink, take it out of the sun, lower max_fps",
        )
