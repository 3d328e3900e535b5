"""Is the model as fast here as its author promised?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "a frame takes the model no longer than its bundle's budget"
AFTER_S = 30.0
# It counts as within the budget again only this much below.
MARGIN = 0.1


def check(view: View) -> Iterable[Finding]:
    """Warning when a frame takes longer than the budget on average, which is meant for 95 of 100 frames."""
    for name, pipeline in view.pipelines.items():
        if pipeline.frame_ms is None or pipeline.budget_ms is None:
            continue
        share = 1.0 if view.before("model_latency", name) == "ok" else 1.0 - MARGIN
        if pipeline.frame_ms <= share * pipeline.budget_ms:
            yield Finding(subject=name, severity="ok", text="within the bundle's budget")
            continue
        yield Finding(
            subject=name,
            severity="warning",
            text=f"a frame takes longer than the bundle's budget of {pipeline.budget_ms:g} ms",
            code="preflight.latency",
            remedy="see the checks of heat and load; give the pipeline more 'threads' or fewer streams",
        )
