"""Does the configuration file hold what the agent runs with?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the configuration file was taken over when it was last read"
TOLD_ELSEWHERE = True


def check(view: View) -> Iterable[Finding]:
    """Warning after a reload that failed: the former configuration is still in force."""
    problem = view.config_problem
    if problem is None:
        yield Finding(severity="ok", text="taken over")
        return
    yield Finding(
        severity="warning",
        text=f"the former configuration is in force: {problem.text}",
        code=problem.code,
        remedy=problem.remedy or "mend the file, try it with 'edgeward config check', and reload",
    )
