"""Has this device looked at anything lately?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the device has given a result of at least one stream lately"
LONGEST_S = 300.0
# Nothing is to be expected of these.
_AT_REST = {"ended", "stopped"}


def check(view: View) -> Iterable[Finding]:
    """Critical when no stream at all gave a result for five minutes: this device is blind."""
    late = [
        # One of a frame in ten minutes is not blind after five.
        stream.last_result_age_s > max(LONGEST_S, stream.stall_after_s)
        for pipeline in view.pipelines.values()
        if pipeline.state not in _AT_REST
        for stream in pipeline.streams.values()
        if stream.state not in _AT_REST and stream.last_result_age_s is not None
    ]
    if not late:
        return
    if not all(late):
        yield Finding(severity="ok", text="results come")
        return
    yield Finding(
        severity="critical",
        text=f"no stream of this device has given a result for over {LONGEST_S:g} s",
        code="source.stalled",
        remedy="see the findings about pipelines and streams: each says what is wrong with it",
    )
