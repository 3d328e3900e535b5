"""Health: checks as tables, the sum of them, and since when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.health import checks
from agent.health.checks import Check, find_checks
from agent.health.monitor import HealthMonitor
from agent.health.view import Finding, LinkFacts, PipelineFacts, StreamFacts, View
from agent.link.clock import WallClock

pytestmark = pytest.mark.unit

GOOD = View(
    link=LinkFacts(connected=True, address="b:1883"),
    pipelines={"p": PipelineFacts(state="running", streams={"s": StreamFacts(state="running")})},
    state_dir="/var/lib/edgeward",
    disk_free_mb=10_000,
    disk_total_mb=20_000,
    memory_free_percent=50.0,
)


def with_stream(**facts: str) -> View:
    return replace(GOOD, pipelines={"p": PipelineFacts(state="running", streams={"s": StreamFacts(**facts)})})


@pytest.mark.parametrize(
    ("view", "identity", "severity", "state"),
    [
        (GOOD, "broker_link", "ok", "ok"),
        (replace(GOOD, link=LinkFacts(connected=False, address="b")), "broker_link", "ok", "ok"),
        (
            replace(GOOD, link=LinkFacts(connected=False, address="b", reason="refused")),
            "broker_link",
            "warning",
            "degraded",
        ),
        (
            replace(GOOD, link=LinkFacts(connected=True, address="b", refused_topic="t")),
            "broker_link",
            "warning",
            "degraded",
        ),
        (
            replace(GOOD, pipelines={"p": PipelineFacts(state="failed", reason="x")}),
            "pipeline_state",
            "critical",
            "failed",
        ),
        (
            replace(GOOD, pipelines={"p": PipelineFacts(state="backoff", reason="x")}),
            "pipeline_state",
            "critical",
            "failed",
        ),
        (
            replace(GOOD, pipelines={"p": PipelineFacts(state="running", last_end="x", last_end_age_s=5)}),
            "pipeline_state",
            "warning",
            "degraded",
        ),
        (
            replace(GOOD, pipelines={"p": PipelineFacts(state="running", last_end="x", last_end_age_s=99)}),
            "pipeline_state",
            "ok",
            "ok",
        ),
        *(
            (replace(GOOD, pipelines={"p": facts}), "pipeline_state", severity, state)
            for facts, severity, state in [
                (PipelineFacts(state="verifying", age_s=29), "ok", "ok"),
                (PipelineFacts(state="starting", age_s=29), "ok", "ok"),
                (PipelineFacts(state="verifying", age_s=31), "warning", "degraded"),
                (PipelineFacts(state="preflight", age_s=29), "ok", "ok"),
                (PipelineFacts(state="preflight", age_s=31), "warning", "degraded"),
                (PipelineFacts(state="starting", age_s=31), "warning", "degraded"),
                (PipelineFacts(state="running", age_s=31), "ok", "ok"),
                (PipelineFacts(state="starting", last_end="x", last_end_age_s=99), "warning", "degraded"),
                (PipelineFacts(state="verifying", last_end="x", last_end_age_s=99), "warning", "degraded"),
                (PipelineFacts(state="stopped", last_end="x", last_end_age_s=99), "ok", "ok"),
                (PipelineFacts(state="stopped", reason="all sources have ended"), "ok", "ok"),
                (
                    PipelineFacts(state="stopped", reason="on request", remedy="start it"),
                    "warning",
                    "degraded",
                ),
            ]
        ),
        (with_stream(state="stalled"), "stream_progress", "critical", "failed"),
        (with_stream(state="failed"), "stream_progress", "critical", "failed"),
        (with_stream(state="ended"), "stream_progress", "ok", "ok"),
        (with_stream(state="running", failing="x"), "stream_progress", "critical", "failed"),
        (replace(GOOD, disk_free_mb=400), "disk_space", "warning", "degraded"),
        (replace(GOOD, disk_free_mb=50), "disk_space", "critical", "failed"),
        (replace(GOOD, disk_total_mb=0), "disk_space", "critical", "failed"),
        (replace(GOOD, memory_free_percent=8), "memory_pressure", "warning", "degraded"),
        (replace(GOOD, memory_free_percent=2), "memory_pressure", "critical", "failed"),
        (replace(GOOD, pressure_percent=50), "memory_pressure", "critical", "failed"),
    ],
)
def test_each_check_and_the_sum(view: View, identity: str, severity: str, state: str) -> None:
    monitor = HealthMonitor()
    monitor.look(view, 0)
    found = {check.id: check for check in monitor.body(WallClock()).checks}
    assert found[identity].severity == severity
    assert monitor.state == state
    assert severity == "ok" or found[identity].text


def test_it_says_since_when_and_reports_changes_only() -> None:
    monitor = HealthMonitor()
    clock = WallClock()
    assert monitor.look(GOOD, 1_000_000_000)
    assert not monitor.look(GOOD, 2_000_000_000)
    assert monitor.look(with_stream(state="stalled", reason="a", code="c"), 3_000_000_000)
    assert monitor.look(with_stream(state="stalled", reason="b", code="c"), 9_000_000_000)
    checks = {check.id: check for check in monitor.body(clock).checks}
    assert checks["stream_progress"].since - checks["pipeline_state"].since in range(1990, 2011)


def test_a_check_that_breaks_is_itself_a_finding() -> None:
    def broken(_: View) -> list[Finding]:
        raise KeyError("x")

    monitor = HealthMonitor([Check("bad", "", broken)])
    monitor.look(GOOD, 0)
    assert monitor.state == "failed"
    assert "the check itself failed" in monitor.body(WallClock()).checks[0].text


def test_the_scan_finds_every_file() -> None:
    folder = Path(checks.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {check.id for check in find_checks()} == files
    assert len(files) >= 24
