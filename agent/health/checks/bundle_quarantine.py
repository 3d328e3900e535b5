"""Is a bundle kept from running since its workers ended badly again and again?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "no bundle of a pipeline was put into quarantine"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Warning while one is: the bundle that ran well before it runs in its place, where there is one."""
    for name, pipeline in view.pipelines.items():
        for stage, why in pipeline.quarantined.items():
            yield Finding(
                subject=f"{name}/{stage}" if stage else name,
                severity="warning",
                text=why,
                code="bundle.quarantined",
                remedy=f"install one that runs, or try this one again: 'edgeward pipelines start {name}'",
            )
        if not pipeline.quarantined:
            yield Finding(subject=name, severity="ok", text="none")
