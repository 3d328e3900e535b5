"""Does the device have memory to work with?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.threshold import Ceiling, Floor
from agent.health.view import Finding, View

MEANING = "the device has free memory and does not lose time waiting for it"
FREE_PERCENT = Floor(warning=10, critical=4)
# PSI tells shares of time; both are the same threshold, since lost time is lost frames.
LOST_PERCENT = Ceiling(warning=10, critical=10, margin=5)
_SHORT, _WAITS = "system.memory", "system.memory-wait"
REMEDY = "run fewer pipelines or streams, or a smaller model"


def check(view: View) -> Iterable[Finding]:
    """By what is available and, where the kernel tells (PSI), by the time lost waiting for memory."""
    if view.memory_free_percent is None:
        return
    lost, waited = view.pressure_percent, view.before("memory_pressure", code=_WAITS)
    if lost is not None and LOST_PERCENT.judge(lost, waited) == "critical":
        yield Finding(severity="critical", text="programs wait for memory", code=_WAITS, remedy=REMEDY)
        return
    severity = FREE_PERCENT.judge(view.memory_free_percent, view.before("memory_pressure", code=_SHORT))
    if severity == "ok":
        yield Finding(severity="ok", text="enough memory is free")
        return
    limit = FREE_PERCENT.limit(severity)
    yield Finding(severity=severity, text=f"under {limit:g} % of memory is free", code=_SHORT, remedy=REMEDY)
