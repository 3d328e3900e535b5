"""Can other programs use the models of a pipeline that is to serve them?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "requests to the models of a pipeline can arrive where `serve.listen` says"


def check(view: View) -> Iterable[Finding]:
    """Warning when they cannot: the cameras of the pipeline go on, and it is tried again."""
    for name, pipeline in view.pipelines.items():
        if pipeline.serve_problem:
            yield Finding(
                subject=name,
                severity="warning",
                text=pipeline.serve_problem,
                remedy="free that place, or set another one as 'listen' in the pipeline's table 'serve'",
            )
