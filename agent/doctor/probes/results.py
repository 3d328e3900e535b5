"""Do results come out of every pipeline of the running agent?"""

from __future__ import annotations

from agent.control import control_pb2 as pb
from agent.doctor.finding import Finding, ok, quoted, skip
from agent.doctor.site import Site

MEANING = "every pipeline of the running agent runs, and results come out of each of its streams"
NEEDS = ("agent",)
# Checks of health that this probe tells, and that of the device leaves to it.
JUDGED = ("pipeline_state", "stream_progress", "last_result")


def probe(site: Site) -> list[Finding]:
    """What the agent itself says; without one there is nothing to say."""
    if site.status is None:
        return [skip("no agent answers")]
    found = []
    for pipeline in site.status.pipelines:
        found += _pipeline(pipeline)
    told = {finding.subject for finding in found if finding.result != "ok"}
    more = [finding for finding in _of_health(site) if not finding.subject or finding.subject not in told]
    worse = {finding.subject for finding in more}
    return [finding for finding in found if finding.subject not in worse] + more or [
        skip("the agent has no pipeline")
    ]


def _of_health(site: Site) -> list[Finding]:
    """What health sees and no state tells: a model that fails on each picture, a device that is blind."""
    return [
        Finding(
            result="fail" if check.severity == "critical" else "warn",
            text=check.text,
            subject=check.subject,
            code=check.code,
            remedy=check.remedy or "see the log",
            command=f"edgeward logs --pipeline {quoted(check.subject.partition('/')[0])}"
            if check.subject
            else "edgeward status",
        )
        for check in (site.health.checks if site.health else ())
        if check.id in JUDGED and check.severity != "ok"
    ]


def _pipeline(pipeline: pb.Pipeline) -> list[Finding]:
    if pipeline.state != "running":
        return [_not_running(pipeline)]
    found = [_stream(pipeline.name, stream) for stream in pipeline.streams]
    return found + [_quarantined(pipeline.name, run) for run in pipeline.bundles if run.quarantined.text]


def _not_running(pipeline: pb.Pipeline) -> Finding:
    problem = pipeline.problem
    on_its_way = pipeline.state in {"verifying", "preflight", "starting"}
    by_hand = pipeline.state in {"stopped", "quarantined"}
    action = "start" if by_hand else "restart"
    command = f"edgeward logs --pipeline {quoted(pipeline.name)}"
    if not on_its_way:
        command += f"; sudo edgeward pipelines {action} {quoted(pipeline.name)}"
    reason = f": {problem.text}" if problem.text else ""
    return Finding(
        result="warn" if on_its_way else "fail",
        text=f"{pipeline.state} for {pipeline.for_s:.0f} s{reason}",
        subject=pipeline.name,
        code=problem.code,
        remedy=problem.remedy or ("wait a little" if on_its_way else "see its log, then start it again"),
        command=command,
    )


def _stream(pipeline: str, stream: pb.Stream) -> Finding:
    subject = f"{pipeline}/{stream.name}"
    if stream.state in {"running", "ended"}:
        age = (
            f", the last one {stream.last_result_age_s:.1f} s ago"
            if stream.HasField("last_result_age_s")
            else ""
        )
        return ok(f"{stream.state}: {stream.results} results{age}", subject=subject)
    problem = stream.problem
    reason = f": {problem.text}" if problem.text else ""
    return Finding(
        result="warn" if stream.state == "starting" else "fail",
        text=f"{stream.state} for {stream.for_s:.0f} s{reason}",
        subject=subject,
        code=problem.code,
        remedy=problem.remedy or "see the probe of the streams, and the log",
        command=f"edgeward logs --pipeline {quoted(pipeline)}",
    )


def _quarantined(pipeline: str, run: pb.BundleRun) -> Finding:
    return Finding(
        result="fail",
        text=f"{run.name} {run.version} is quarantined, the previous bundle runs: {run.quarantined.text}",
        subject=f"{pipeline}/{run.stage}" if run.stage else pipeline,
        code=run.quarantined.code,
        remedy=run.quarantined.remedy or "install a release that is mended",
        command=f"edgeward bundles install NEW.ewb --pipeline {quoted(pipeline)}",
    )
