"""Do programs get their turn? That all processors are busy is no fault; that many programs wait is."""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.threshold import Ceiling
from agent.health.view import Finding, View

MEANING = "programs get a processor when they need one"
# The load counts what runs as well as what waits: up to one a processor nobody waits.
LOAD_PER_CPU = Ceiling(warning=4.0, critical=20.0, margin=1.0)


def check(view: View) -> Iterable[Finding]:
    """Warning over a load of 4 a processor over five minutes, critical over 20: the agent may be late."""
    if view.load_per_cpu is None:
        return
    severity = LOAD_PER_CPU.judge(view.load_per_cpu, view.before("cpu_load"))
    if severity == "ok":
        yield Finding(severity="ok", text="the processors keep up")
        return
    limit = LOAD_PER_CPU.limit(severity)
    yield Finding(
        severity=severity,
        text=f"over {limit:g} programs for each processor, most of them waiting",
        code="system.busy",
        remedy="lower max_fps of streams, use a smaller model, or end what else runs: see 'top'",
    )
