"""Do results come out of each stream?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, StreamFacts, View

MEANING = "results come out of a stream"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Critical for a stream without results; an ended file is no fault."""
    for pipeline_name, pipeline in view.pipelines.items():
        for name, stream in pipeline.streams.items():
            yield _judge(f"{pipeline_name}/{name}", stream)


def _judge(subject: str, stream: StreamFacts) -> Finding:
    if stream.state in {"stalled", "failed"}:
        return Finding(
            subject=subject,
            severity="critical",
            text=f"{stream.state}, no results: {stream.reason or 'no reason given'}",
            code=stream.code,
            remedy=stream.remedy or "check the camera and the way to it",
        )
    if stream.failing:
        return Finding(
            subject=subject,
            severity="critical",
            text=f"inference fails: {stream.failing}",
            code="model.run",
            remedy="send the log of the agent to the author of the bundle",
        )
    return Finding(subject=subject, severity="ok", text=stream.state)
