"""What a running agent tells of itself: figures over HTTP, health with every check, and its log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.link import messages
from tests.integration.agent_peers import ROOT, free_port
from tests.unit.agent.test_certificate_facts import pem

pytestmark = pytest.mark.integration

# Those that have something to say of any device that runs.
SPEAK = {
    "broker_link",
    "bundle_quarantine",
    "clock_sync",
    "config_reload",
    "cpu_load",
    "device_profile",
    "disk_space",
    "kernel_version",
    "last_result",
    "memory_pressure",
    "message_loss",
    "pipeline_state",
    "store_integrity",
    "stream_progress",
}


def listening(url: str) -> str:
    return f'[metrics]\nlisten = "{url}"\n'


def figures(port: int) -> dict[str, float]:
    """Counters and gauges by name and labels."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http it is
        text = answer.read().decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": float(sample.value)
        for family in text_string_to_metric_families(text)
        if family.type in {"counter", "histogram"}
        for sample in family.samples
    }


def check_of(health: messages.Health, identity: str) -> list[messages.CheckResult]:
    return [check for check in health.checks if check.id == identity]


def test_the_figures_only_grow_while_workers_are_killed(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    port = free_port()
    agent = agents.start(agents.write(broker.url, {"line": "ok"}, mqtt=listening(f"127.0.0.1:{port}")))
    results = "edgeward_stream_results_total[('pipeline', 'line'), ('stream', 'cam')]"
    frames = "edgeward_stream_frames_total[('pipeline', 'line'), ('stream', 'cam')]"
    latency = "edgeward_stream_latency_seconds_count[('pipeline', 'line'), ('stream', 'cam')]"
    restarts = "edgeward_pipeline_restarts_total[('pipeline', 'line')]"
    seen: dict[str, float] = {}
    pids = set()
    for life in range(3):
        body = listener.wait(
            messages.Metrics,
            lambda body: (
                body.pipelines["line"].pid not in {None, *pids}
                and body.pipelines["line"].streams["cam"].fps > 1
                and body.pipelines["line"].streams["cam"].decoded > 0
            ),
            after=listener.mark(),
        )
        now = figures(port)
        assert all(now[name] >= value for name, value in seen.items() if name in now)
        assert now[restarts] == life
        assert now[results] > seen.get(results, 0)
        assert now[frames] > seen.get(frames, 0)
        assert now[latency] == pytest.approx(now[results], abs=1)
        seen = now
        pids.add(body.pipelines["line"].pid)
        os.kill(body.pipelines["line"].pid, signal.SIGKILL)
        agent.wait_line("killed by SIGKILL", after=len(agent.lines) - 1 if life else 0)
    assert agent.end() == 0


def test_the_messages_hold_the_new_figures(broker: Any, agents: Any, subscribe: Callable[..., Any]) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    body = listener.wait(
        messages.Metrics,
        lambda body: (
            body.pipelines["line"].streams["cam"].latency_p99_ms is not None
            and body.pipelines["line"].pss_mb is not None
            and body.device.disk_free_mb > 0
        ),
    )
    stream = body.pipelines["line"].streams["cam"]
    assert 0 <= stream.latency_p50_ms <= stream.latency_p95_ms <= stream.latency_p99_ms
    assert 0 <= stream.last_result_age_s < 5
    assert len(body.device.cpu_percents) == os.cpu_count()
    assert body.device.network_received_bytes >= 0
    assert agent.end() == 0


def test_every_check_has_its_say_and_the_summary_is_a_line(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    health = listener.wait(messages.Health, lambda body: {check.id for check in body.checks} >= SPEAK)
    assert health.summary
    assert "\n" not in health.summary
    for check in health.checks:
        page, _, anchor = check.docs.partition("#")
        assert f"### `{anchor}`" in (ROOT / page).read_text()
    assert agent.end() == 0


def test_a_metrics_port_in_use_is_told_and_nothing_else_suffers(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        agent = agents.start(agents.write(broker.url, {"line": "ok"}, mqtt=listening(f"127.0.0.1:{port}")))
        health = listener.wait(messages.Health, lambda body: check_of(body, "metrics_listener"))
        (check,) = check_of(health, "metrics_listener")
        assert (check.severity, check.code) == ("warning", "system.busy")
        assert f"127.0.0.1:{port}" in check.text
        listener.wait(messages.Metrics, lambda body: body.pipelines["line"].streams["cam"].fps > 5)
    mark = listener.mark()
    listener.wait(messages.Health, lambda body: not check_of(body, "metrics_listener"), 30, after=mark)
    assert figures(port)
    assert agent.end() == 0


def test_a_certificate_that_ends_soon_is_told_in_time(agents: Any, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(pem(ends=10, authority=True))
    agent = agents.start(agents.write("mqtts://127.0.0.1:9", {}, mqtt='ca_file = "ca.crt"'))
    line = agent.wait_line("certificate_expiry")
    assert "ca.crt is warning: ends within 30 days; have it renewed" in line
    assert agent.end() == 0


# --- the log ---

EVERYTHING = '[log]\nburst = 10000\nlevel = "debug"\n'


def start(config: Path, stderr: int, **environment: str) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("agent_with_fake_worker.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(config), "{}"],
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_the_journal_gets_json_with_priorities(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    """Over a stream socket that `JOURNAL_STREAM` names, as systemd gives it to a service."""
    listener = subscribe(broker.port)
    ours, theirs = socket.socketpair()
    status = os.fstat(theirs.fileno())
    config = agents.write(broker.url, {"line": "ok", "bad": "missing"})
    with theirs:
        agent = start(config, theirs.fileno(), JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
    try:
        listener.wait(messages.Metrics, lambda body: body.pipelines["line"].streams["cam"].fps > 1)
        agent.terminate()
        with ours, ours.makefile("r", encoding="utf-8") as journal:
            lines = journal.read().splitlines()
        assert agent.wait(15) == 0
    finally:
        agent.kill()
        agent.wait()
    entries = [(line[:3], json.loads(line[3:])) for line in lines]
    priorities = {"<6>": "INFO", "<4>": "WARNING", "<3>": "ERROR", "<2>": "CRITICAL"}
    assert entries
    assert all(priorities[priority] == entry["level"] for priority, entry in entries)
    assert any(entry["level"] == "ERROR" and "bad" in entry["text"] for _, entry in entries)
    assert entries[-1][1]["text"].startswith("stopped after")


def test_a_log_that_nobody_reads_holds_up_nothing(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    reading, writing = os.pipe()
    config = agents.write(broker.url, {"line": "ok", "loud": "ok flood"}, mqtt=EVERYTHING)
    agent = start(config, writing)
    os.close(writing)
    try:
        for _ in range(3):
            # The pipe holds 64 KiB; of what the loud worker prints 20 lines a second are let through.
            body = listener.wait(
                messages.Metrics,
                lambda body: body.pipelines["line"].streams["cam"].fps > 5,
                after=listener.mark(),
            )
            listener.wait(messages.Metrics, after=listener.mark())
        assert body.device.agent_pss_mb is None or body.device.agent_pss_mb < 80
        agent.terminate()
        assert agent.wait(15) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            agent.kill()
        agent.wait()
        os.close(reading)
