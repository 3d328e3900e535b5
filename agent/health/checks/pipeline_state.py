"""Does the worker of each pipeline run?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, PipelineFacts, View

MEANING = "the bundle of a pipeline is verified and its worker process runs"
RECENT_S = 60.0


def check(view: View) -> Iterable[Finding]:
    """Critical when a pipeline cannot run, warning while it is being restarted or was lately."""
    for name, pipeline in view.pipelines.items():
        yield _judge(name, pipeline)


def _judge(name: str, pipeline: PipelineFacts) -> Finding:
    if pipeline.state == "failed":
        return Finding(
            subject=name,
            severity="critical",
            text=pipeline.reason,
            code=pipeline.code,
            remedy=pipeline.remedy or "see the log of the agent",
        )
    if pipeline.state == "backoff":
        text = f"restarting: {pipeline.reason}"
        return Finding(
            subject=name, severity="critical", text=text, code=pipeline.code, remedy=pipeline.remedy
        )
    if pipeline.last_end_age_s is not None and pipeline.last_end_age_s < RECENT_S:
        return Finding(
            subject=name,
            severity="warning",
            text=f"restarted lately: {pipeline.last_end}",
            code=pipeline.last_end_code,
            remedy="if it happens again, send the log of the agent to the author of the bundle",
        )
    return Finding(subject=name, severity="ok", text=pipeline.state)
