"""Health: each check as a table of facts and findings, thresholds, and what has to hold to be told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.events import EventLog
from agent.health.checks import find_checks
from agent.health.monitor import HealthMonitor
from agent.health.view import (
    CertificateFacts,
    Finding,
    LinkFacts,
    PipelineFacts,
    StreamFacts,
    VersionFacts,
    View,
    ZoneFacts,
)
from agent.link.clock import WallClock
from agent.workers.reason import Reason

pytestmark = pytest.mark.unit

CHECKS = {check.id: check for check in find_checks()}
DAY_S = 86_400
GOOD = View(
    link=LinkFacts(connected=True, address="b:1883"),
    pipelines={
        "p": PipelineFacts(
            state="running",
            streams={"s": StreamFacts(state="running", last_result_age_s=0.1)},
            frame_ms=10.0,
            budget_ms=20.0,
        )
    },
    state_dir="/var/lib/edgeward",
    disk_free_mb=10_000,
    disk_total_mb=20_000,
    inodes_free_percent=90.0,
    memory_free_percent=50.0,
    pressure_percent=0.0,
    load_per_cpu=0.5,
    zones={"cpu-thermal": ZoneFacts(celsius=50, warn_c=75, limit_c=85)},
    throttled=(),
    clock_synchronised=True,
    clock_year=2030,
    certificates={"/ca.crt": CertificateFacts(ends_in_s=300 * DAY_S, began_s_ago=DAY_S)},
    store_faults={},
    kernel=VersionFacts(found="6.1.0-18-arm64", least="5.10"),
    drivers={"rknpu": VersionFacts(found="0.9.6", least="0.9")},
    profile="rk3588",
    governor=(),
)


def pipeline(**facts: Any) -> View:
    return replace(GOOD, pipelines={"p": replace(GOOD.pipelines["p"], **facts)})


def zone(celsius: float) -> View:
    return replace(GOOD, zones={"cpu-thermal": ZoneFacts(celsius=celsius, warn_c=75, limit_c=85)})


def certificate(**facts: Any) -> View:
    return replace(GOOD, certificates={"/ca.crt": CertificateFacts(**{"began_s_ago": DAY_S, **facts})})


def lost(kind: str, why: str) -> View:
    return replace(GOOD, link=LinkFacts(connected=True, address="b", lost={(kind, why): 3}))


def results(*ages: float | None, state: str = "running") -> View:
    streams = {f"s{n}": StreamFacts(state=state, last_result_age_s=age) for n, age in enumerate(ages)}
    return replace(GOOD, pipelines={"p": PipelineFacts(state="running", streams=streams)})


OFFLINE = replace(GOOD, link=LinkFacts(connected=False, address="b", reason="not connected to b"))
# (check, view, severity, a part of the text, a part of the remedy)
BAD = [
    ("disk_space", replace(GOOD, disk_free_mb=499), "warning", "under 500 MB", "du -xh"),
    ("disk_space", replace(GOOD, disk_free_mb=99), "critical", "under 100 MB", "du -xh"),
    ("disk_space", replace(GOOD, disk_total_mb=0), "critical", "cannot be read", "device.state_dir"),
    ("disk_space", replace(GOOD, disk_answers=False), "critical", "does not answer", "dmesg"),
    ("disk_space", replace(GOOD, disk_read_only=True), "critical", "read-only", "remount,rw"),
    ("disk_inodes", replace(GOOD, inodes_free_percent=4.9), "warning", "under 5 %", "--inodes"),
    ("disk_inodes", replace(GOOD, inodes_free_percent=0.5), "critical", "under 1 %", "--inodes"),
    ("memory_pressure", replace(GOOD, memory_free_percent=9), "warning", "under 10 %", "smaller model"),
    ("memory_pressure", replace(GOOD, memory_free_percent=3), "critical", "under 4 %", "smaller model"),
    ("memory_pressure", replace(GOOD, pressure_percent=11), "critical", "wait for memory", "smaller model"),
    ("cpu_load", replace(GOOD, load_per_cpu=4.1), "warning", "over 4 programs", "max_fps"),
    ("cpu_load", replace(GOOD, load_per_cpu=21), "critical", "over 20 programs", "max_fps"),
    ("temperature", zone(76), "warning", "over 75 degrees", "air"),
    ("temperature", zone(86), "critical", "over 85 degrees", "air"),
    ("throttling", replace(GOOD, throttled=("low voltage",)), "warning", "low voltage", "power supply"),
    ("clock_sync", replace(GOOD, clock_synchronised=False), "warning", "not synchronised", "timesyncd"),
    ("clock_sync", replace(GOOD, clock_year=1970), "critical", "1970", "timedatectl"),
    ("certificate_expiry", certificate(ends_in_s=29 * DAY_S), "warning", "within 30 days", "renewed"),
    ("certificate_expiry", certificate(ends_in_s=2 * DAY_S), "critical", "within 3 days", "renewed"),
    ("certificate_expiry", certificate(ends_in_s=-5), "critical", "has ended", "renewed"),
    ("certificate_expiry", certificate(ends_in_s=1e9, began_s_ago=-9), "critical", "not valid yet", "clock"),
    ("certificate_expiry", certificate(fault="holds no certificate"), "warning", "holds no", "PEM"),
    (
        "broker_link",
        OFFLINE,
        "warning",
        "not connected",
        "",
    ),
    ("message_loss", lost("event", "full"), "warning", "queue to the broker was full", "broker back"),
    ("message_loss", lost("event", "too-large"), "warning", "too large", "limit"),
    ("message_loss", lost("health", "refused"), "warning", "refused", "ew/1/"),
    ("model_latency", pipeline(frame_ms=20.1), "warning", "budget of 20 ms", "threads"),
    ("store_integrity", replace(GOOD, store_faults={"a" * 64: "x changed"}), "critical", "x changed", "disk"),
    (
        "kernel_version",
        replace(GOOD, kernel=VersionFacts(found="4.19.1", least="5.10")),
        "warning",
        "4.19.1 is older than 5.10, by the profile rk3588",
        "system image",
    ),
    (
        "kernel_version",
        replace(GOOD, kernel=VersionFacts(found="5.10.3", most="4.9", note="stay on JetPack 4")),
        "warning",
        "newer than 4.9",
        "stay on JetPack 4",
    ),
    (
        "driver_version",
        replace(GOOD, drivers={"rknpu": VersionFacts(found="0.8.2", least="0.9")}),
        "warning",
        "0.8.2 is older than 0.9",
        "driver",
    ),
    ("device_profile", replace(GOOD, profile_doubt="unknown board"), "warning", "unknown board", "detect"),
    ("governor", replace(GOOD, governor=("cpu-thermal is hot",)), "warning", "cpu-thermal is hot", "cool"),
    (
        "config_reload",
        replace(GOOD, config_problem=Reason("config.value", "bad key", "mend it")),
        "warning",
        "bad key",
        "mend it",
    ),
    (
        "metrics_listener",
        replace(GOOD, metrics_problem=Reason("system.busy", "port in use", "free it")),
        "warning",
        "port in use",
        "free it",
    ),
    ("inference_api", pipeline(serve_problem="in use"), "warning", "in use", "'listen'"),
    ("worker_confinement", pipeline(unconfined="no Landlock"), "warning", "no Landlock", "confine"),
    ("bundle_quarantine", pipeline(quarantined={"": "it crashed"}), "warning", "it crashed", "start p"),
    ("pipeline_state", pipeline(state="quarantined", reason="r"), "critical", "r", "logs --pipeline p"),
    ("watchdog", replace(GOOD, watchdog_missing=True), "warning", "does not watch", "WatchdogSec"),
    ("last_result", results(301.0, 900.0), "critical", "over 300 s", "findings"),
    ("last_result", results(301.0, state="stalled"), "critical", "over 300 s", "findings"),
    ("stream_progress", results(1.0, state="stalled"), "critical", "stalled", "camera"),
]


@pytest.mark.parametrize(("identity", "view", "severity", "text", "remedy"), BAD, ids=[row[0] for row in BAD])
def test_each_check_says_what_is_wrong_and_what_to_do(
    identity: str, view: View, severity: str, text: str, remedy: str
) -> None:
    (finding,) = [each for each in CHECKS[identity].run(view) if each.severity != "ok"]
    assert finding.severity == severity
    assert text in finding.text
    assert remedy in finding.remedy


def test_every_check_has_a_row_above() -> None:
    assert {row[0] for row in BAD} == set(CHECKS)


@pytest.mark.parametrize("identity", CHECKS)
def test_a_healthy_device_is_healthy(identity: str) -> None:
    assert all(finding.severity == "ok" for finding in CHECKS[identity].run(GOOD))


@pytest.mark.parametrize("identity", CHECKS)
def test_of_what_nobody_looked_at_a_check_says_nothing_bad(identity: str) -> None:
    assert all(finding.severity == "ok" for finding in CHECKS[identity].run(View()))


@pytest.mark.parametrize(
    "view",
    [
        results(1.0, 900.0),
        results(900.0, state="ended"),
        results(None),
        replace(GOOD, pipelines={"p": PipelineFacts(state="stopped", streams={"s": StreamFacts(state="x")})}),
        replace(GOOD, pipelines={}),
    ],
)
def test_one_stream_that_works_is_enough_and_what_rests_is_not_waited_for(view: View) -> None:
    assert all(finding.severity == "ok" for finding in CHECKS["last_result"].run(view))


def test_what_expires_in_the_queue_by_design_is_no_loss() -> None:
    for why in ("expired", "replaced"):
        assert [each.severity for each in CHECKS["message_loss"].run(lost("metrics", why))] == ["ok"]


def test_a_board_without_the_driver_of_an_accelerator_is_healthy_and_says_so() -> None:
    (finding,) = CHECKS["driver_version"].run(
        replace(GOOD, drivers={"rknpu": VersionFacts(found="", least="0.9")})
    )
    assert finding.severity == "ok"
    assert "not seen" in finding.text


# --- thresholds ---


def test_the_monitor_gives_each_check_what_it_said_before() -> None:
    monitor = HealthMonitor([CHECKS["disk_space"]])
    said = []
    for free in (700, 490, 550, 590, 605, 550):
        monitor.look(replace(GOOD, disk_free_mb=free), 0)
        said.append(monitor.state)
    assert said == ["ok", "degraded", "degraded", "degraded", "ok", "ok"]


def test_what_was_bad_for_another_reason_moves_no_threshold() -> None:
    """A disk with 550 MB that hung for a moment has as much room as before; so has memory."""
    monitor = HealthMonitor([CHECKS["disk_space"], CHECKS["memory_pressure"]])
    good = replace(GOOD, disk_free_mb=550, memory_free_percent=11.0, pressure_percent=0.0)
    for bad in ({"disk_answers": False}, {"disk_read_only": True}, {"pressure_percent": 50.0}):
        monitor.look(replace(good, **bad), 0)
        assert monitor.state == "failed"
        monitor.look(good, 0)
        assert monitor.state == "ok", bad
    monitor.look(replace(good, memory_free_percent=3.0), 0)
    monitor.look(replace(good, memory_free_percent=20.0, pressure_percent=7.0), 0)
    assert monitor.state == "ok"


def test_a_folder_that_takes_no_write_is_critical_with_the_reason() -> None:
    (found,) = CHECKS["disk_space"].run(replace(GOOD, disk_fault="Input/output error"))
    assert found.severity == "critical"
    assert "Input/output error" in found.text
    assert "dmesg" in found.remedy


def test_a_stream_of_a_frame_in_ten_minutes_is_not_blind_after_five() -> None:
    slow = {"s": StreamFacts(state="running", last_result_age_s=700.0, stall_after_s=1200.0)}
    view = replace(GOOD, pipelines={"p": PipelineFacts(state="running", streams=slow)})
    assert [found.severity for found in CHECKS["last_result"].run(view)] == ["ok"]


# --- what has to hold before it is told ---

S = 1_000_000_000


def held(monitor: HealthMonitor, seconds: list[tuple[int, float]]) -> list[str]:
    said = []
    for at, celsius in seconds:
        monitor.look(zone(celsius), at * S)
        said.append(monitor.state)
    return said


def test_a_short_peak_is_not_told_and_what_holds_is_told_with_its_beginning() -> None:
    monitor = HealthMonitor([CHECKS["temperature"]])
    assert held(monitor, [(0, 50), (2, 80), (4, 60), (6, 80), (14, 80)]) == ["ok"] * 5
    assert held(monitor, [(16, 80), (18, 80)]) == ["degraded"] * 2
    clock = WallClock()
    (check,) = monitor.body(clock).checks
    assert abs(check.since - clock.at_ms(6 * S)) < 50
    assert held(monitor, [(20, 60)]) == ["ok"]  # what is better is told at once


def test_a_peak_at_the_very_start_has_to_hold_as_well() -> None:
    monitor = HealthMonitor([CHECKS["clock_sync"]])
    bad = replace(GOOD, clock_synchronised=False)
    monitor.look(bad, 0)
    assert monitor.state == "ok"
    monitor.look(bad, 119 * S)
    assert monitor.state == "ok"
    monitor.look(bad, 120 * S)
    assert monitor.state == "degraded"


# --- the sum, and what is not put there ---


def test_the_summary_names_the_worst_first_and_stays_one_line() -> None:
    monitor = HealthMonitor()
    assert monitor.summary == "nothing was looked at yet"
    monitor.look(GOOD, 0)
    assert monitor.summary == "all is well"
    monitor.look(
        replace(
            GOOD,
            disk_free_mb=50,
            inodes_free_percent=2,
            watchdog_missing=True,
            governor=("x" * 500,),
        ),
        0,
    )
    assert monitor.summary.startswith("1 critical, 3 warnings: disk_space: under 100 MB")
    assert monitor.summary.endswith("; 1 more")
    assert len(monitor.summary) < 450
    assert monitor.body(WallClock()).summary == monitor.summary


def test_no_text_holds_a_number_that_moves_all_the_time() -> None:
    """Two looks at a device whose figures move within a threshold are one report."""
    for view, moved in [
        (replace(GOOD, disk_free_mb=400), replace(GOOD, disk_free_mb=399)),
        (zone(76.0), zone(76.4)),
        (replace(GOOD, load_per_cpu=5.0), replace(GOOD, load_per_cpu=5.7)),
        (certificate(ends_in_s=9 * DAY_S), certificate(ends_in_s=9 * DAY_S - 60)),
        (pipeline(frame_ms=25.0), pipeline(frame_ms=25.7)),
        (results(301.0), results(400.0)),
    ]:
        monitor = HealthMonitor([replace(check, after_s=0.0) for check in CHECKS.values()])
        monitor.look(view, 0)
        assert monitor.state != "ok"
        assert not monitor.look(moved, S)


def test_every_code_is_one_that_is_explained() -> None:
    pages = Path(__file__).resolve().parents[3] / "docs" / "ref"
    known = (pages / "errors.md").read_text() + (pages / "health.md").read_text()
    sources = "".join(path.read_text() for path in Path(CHECKS_FOLDER).glob("*.py"))
    codes = set(re.findall(r'code="([a-z.-]+)"', sources))
    assert {code for code in codes if f"`{code}`" not in known} == set()


CHECKS_FOLDER = Path(__file__).resolve().parents[3] / "agent" / "health" / "checks"


def test_what_gets_worse_and_better_is_an_event_and_a_line() -> None:
    events = EventLog()
    monitor = HealthMonitor(events=events)
    monitor.look(GOOD, 0)
    monitor.look(replace(GOOD, disk_free_mb=50), 0)
    monitor.look(replace(GOOD, disk_free_mb=400), 0)
    monitor.look(GOOD, 0)
    assert [(each.kind, each.code) for each in events.recent()] == [
        ("health.critical", "system.disk-full"),
        ("health.warning", "system.disk-full"),
        ("health.ok", ""),
    ]
    # Whoever noticed these has told of them already.
    monitor.look(pipeline(state="failed", reason="x"), 0)
    assert len(events.recent()) == 3


def test_a_check_that_breaks_leaves_the_others_their_say() -> None:
    def broken(_: View) -> list[Finding]:
        raise KeyError("x")

    monitor = HealthMonitor([replace(CHECKS["disk_space"], run=broken), CHECKS["disk_inodes"]])
    monitor.look(GOOD, 0)
    severities = {check.id: check.severity for check in monitor.body(WallClock()).checks}
    assert severities == {"disk_space": "critical", "disk_inodes": "ok"}
