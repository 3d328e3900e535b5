"""Can programs on this device read the figures?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the figures can be read where `metrics.listen` says"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Warning when the address cannot be used: the agent runs on and tries again."""
    problem = view.metrics_problem
    if problem is None:
        return
    yield Finding(severity="warning", text=problem.text, code=problem.code, remedy=problem.remedy)
