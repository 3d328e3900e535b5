"""Does the worker of each pipeline run?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, PipelineFacts, View

MEANING = "the bundle of a pipeline is verified and its worker process runs"
TOLD_ELSEWHERE = True
RECENT_S = 60.0
# To verify a bundle, to try it or to load a model takes seconds; longer than this is worth a look.
SLOW_S = 30.0


def check(view: View) -> Iterable[Finding]:
    """Critical when a pipeline cannot run, warning while it is slow to start or was lately restarted."""
    for name, pipeline in view.pipelines.items():
        yield _judge(name, pipeline)


def _judge(name: str, pipeline: PipelineFacts) -> Finding:
    if pipeline.state in {"failed", "quarantined"}:
        return Finding(
            subject=name,
            severity="critical",
            text=pipeline.reason,
            code=pipeline.code,
            remedy=pipeline.remedy or f"see 'edgeward logs --pipeline {name}'",
        )
    if pipeline.state == "backoff":
        text = f"restarting: {pipeline.reason}"
        return Finding(
            subject=name, severity="critical", text=text, code=pipeline.code, remedy=pipeline.remedy
        )
    if pipeline.state == "stopped" and pipeline.remedy:  # on request: the device does less than it could
        return Finding(subject=name, severity="warning", text=pipeline.reason, remedy=pipeline.remedy)
    on_its_way = pipeline.state in {"verifying", "preflight", "starting"}
    if pipeline.last_end_age_s is not None and (on_its_way or pipeline.last_end_age_s < RECENT_S):
        return Finding(
            subject=name,
            severity="warning",
            text=f"restarted lately: {pipeline.last_end}",
            code=pipeline.last_end_code,
            remedy="if it happens again, send the log of the agent to the author of the bundle",
        )
    if on_its_way and pipeline.age_s > SLOW_S:
        return Finding(
            subject=name,
            severity="warning",
            text=f"{pipeline.state} for over {SLOW_S:g} s",
            remedy="wait if the bundle is large or the device is slow; else see the log of the agent",
        )
    return Finding(subject=name, severity="ok", text=pipeline.state)
