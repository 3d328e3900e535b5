"""Are workers kept from what is none of their business?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "workers run confined: they reach the files that they need and no others"


def check(view: View) -> Iterable[Finding]:
    """Warning for a worker that runs without its confinement."""
    for name, pipeline in view.pipelines.items():
        if pipeline.unconfined:
            yield Finding(
                subject=name,
                severity="warning",
                text=pipeline.unconfined,
                code="worker.unconfined",
                remedy="use a kernel with Landlock (6.7 or newer), or set supervision.confine = false",
            )
        elif pipeline.state == "running":
            yield Finding(subject=name, severity="ok", text="confined")
