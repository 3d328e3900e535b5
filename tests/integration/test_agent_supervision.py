"""Workers that die, hang, talk garbage or flood: the agent notices, says so, and gets results back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.link import messages
from tests.integration.agent_peers import AgentProcess, wait_gone

pytestmark = pytest.mark.integration


def running(body: messages.Metrics) -> bool:
    return body.pipelines["line"].streams["cam"].fps > 5


def restarted_once(body: messages.Metrics) -> bool:
    return body.pipelines["line"].restarts == 1 and running(body)


def check_of(health: messages.Health, identity: str) -> messages.CheckResult:
    return next(check for check in health.checks if check.id == identity)


def says(identity: str, part: str) -> Callable[[messages.Health], bool]:
    return lambda body: any(check.id == identity and part in check.text for check in body.checks)


def test_a_killed_worker_is_replaced_and_named(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok", "other": "ok"}))
    before = listener.wait(messages.Metrics, running)
    mark = listener.mark()
    os.kill(before.pipelines["line"].pid, signal.SIGKILL)
    line = agent.wait_line("line: the worker ended")
    assert "killed by SIGKILL" in line
    assert "[worker.died]" in line
    health = listener.wait(messages.Health, says("pipeline_state", "killed by SIGKILL"), after=mark)
    assert check_of(health, "pipeline_state").code == "worker.died"
    after = listener.wait(messages.Metrics, restarted_once, after=mark)
    assert after.pipelines["line"].pid != before.pipelines["line"].pid
    assert after.pipelines["other"].pid == before.pipelines["other"].pid
    assert after.pipelines["other"].restarts == 0
    assert agent.end() == 0


def test_a_hung_worker_is_killed_and_replaced(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    before = listener.wait(messages.Metrics, running)
    mark = listener.mark()
    os.kill(before.pipelines["line"].pid, signal.SIGSTOP)
    assert "line/cam stalled: no result for 1." in agent.wait_line("stalled")
    listener.wait(messages.Health, says("stream_progress", "no results"), after=mark)
    assert "gave no sign of life for 2 s" in agent.wait_line("[worker.hung]")
    agent.wait_line("line/cam runs: first result after", after=len(agent.lines) - 1)
    listener.wait(messages.Metrics, restarted_once, after=mark)
    assert not psutil.pid_exists(before.pipelines["line"].pid)
    assert agent.end() == 0


def test_an_agent_that_was_held_up_blames_no_worker(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}))
    before = listener.wait(messages.Metrics, running)
    # Longer than the worker may be silent, and its stream without results.
    agent.process.send_signal(signal.SIGSTOP)
    threading.Event().wait(4)
    mark, lines = listener.mark(), len(agent.lines)
    agent.process.send_signal(signal.SIGCONT)
    after = listener.wait(
        messages.Metrics, lambda body: body.pipelines["line"].streams["cam"].fps > 5, after=mark
    )
    listener.wait(messages.Metrics, running, after=listener.mark())
    assert after.pipelines["line"].pid == before.pipelines["line"].pid
    assert after.pipelines["line"].restarts == 0
    assert not any("stalled" in line or "worker.hung" in line for line in agent.lines[lines:])
    assert agent.end() == 0


def test_a_worker_has_as_long_to_load_as_its_pipeline_says(broker: Any, agents: Any) -> None:
    config = agents.write(broker.url, {"line": "never-ready"}, pipeline="load_timeout_s = 3")
    agent = agents.start(config)
    assert "did not load its bundle for 3 s" in agent.wait_line("[worker.hung]")
    assert agent.end() == 0


def test_silence_of_a_stream_is_named_and_ends(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "silent-after=1"}))
    health = listener.wait(messages.Health, says("stream_progress", "open but sends nothing"))
    check = check_of(health, "stream_progress")
    assert (check.severity, check.code, check.subject) == ("critical", "source.stalled", "line/cam")
    assert health.state == "failed"
    metrics = listener.wait(messages.Metrics, lambda body: body.pipelines["line"].streams["cam"].fps == 0)
    assert metrics.pipelines["line"].restarts == 0
    agents.behave("line", "ok")
    os.kill(metrics.pipelines["line"].pid, signal.SIGKILL)
    agent.wait_line("line/cam runs: first result after")
    assert agent.end() == 0


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("garbage", "[worker.protocol]"),
        ("long-frame", "[worker.protocol]"),
        ("fatal", "model.onnx: the model is broken [model.load]"),
        ("exit=7", "exit status 7"),
        ("crash-after=5", "killed by SIGSEGV"),
    ],
)
def test_a_broken_worker_is_named_and_a_good_one_follows(
    broker: Any, agents: Any, subscribe: Callable[..., Any], behaviour: str, said: str
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": behaviour}))
    agent.wait_line(said)
    agents.behave("line", "ok")
    metrics = listener.wait(messages.Metrics, running)
    assert metrics.pipelines["line"].restarts >= 1
    assert agent.end() == 0


def test_a_worker_that_floods_its_log_costs_neither_results_nor_log(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "flood"}))
    listener.wait(messages.Metrics, running)
    agent.wait_line("lines left out")
    assert sum("xxxx" in line for line in agent.lines) < 200
    assert agent.end() == 0


def test_a_refused_bundle_fails_its_pipeline_only_and_is_tried_when_it_changes(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(
        agents.write(broker.url, {"line": "missing", "other": "ok"}), refused_retry=3600, look_for_bundle=0.05
    )
    health = listener.wait(messages.Health, says("pipeline_state", "no such file"))
    check = check_of(health, "pipeline_state")
    assert (check.severity, check.code, check.remedy) == ("critical", "bundle.missing", "check the path")
    listener.wait(messages.Metrics, lambda body: body.pipelines["other"].streams["cam"].fps > 5)
    agents.behave("line", "ok and well")
    listener.wait(messages.Metrics, running)
    assert agent.end() == 0


def test_sigterm_leaves_no_process(broker: Any, agents: Any, subscribe: Callable[..., Any]) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "child", "other": "ignore-stop"}))
    listener.wait(messages.Metrics, running)
    family = psutil.Process(agent.process.pid).children(recursive=True)
    assert len(family) >= 3
    assert agent.end(seconds=10) == 0
    for process in family:
        wait_gone(process.pid)


def test_a_second_signal_leaves_at_once(broker: Any, agents: Any, subscribe: Callable[..., Any]) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ignore-stop"}), stop_grace=60)
    metrics = listener.wait(messages.Metrics, running)
    agent.process.send_signal(signal.SIGTERM)
    agent.wait_line("SIGTERM: stopping")
    assert agent.end(signal.SIGINT, seconds=5) == 130
    wait_gone(metrics.pipelines["line"].pid)


def test_a_second_agent_on_the_same_state_folder_is_told_who_runs(broker: Any, agents: Any) -> None:
    config = agents.write(broker.url, {})
    first = agents.start(config)
    first.wait_line("dev runs with 0 pipelines")
    second = agents.start(config)
    assert second.process.wait(15) == 12
    line = second.wait_line("another agent")
    assert f"process {first.process.pid}" in line
    assert first.end() == 0
    third = agents.start(config)
    third.wait_line("dev runs with 0 pipelines")
    assert third.end() == 0


def test_the_real_command_names_an_unknown_key(tmp_path: Path) -> None:
    config = tmp_path / "edgeward.toml"
    config.write_text("[mqtt]\nkeepalive = 30\n")
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    assert agent.end(0) == 3
    assert agent.lines == [
        f"edgeward: {config}: mqtt.keepalive: unknown key; did you mean 'keepalive_s'? [config.unknown-key]"
    ]


def test_the_real_command_checks_and_prints_without_secrets(tmp_path: Path) -> None:

    config = tmp_path / "edgeward.toml"
    config.write_text(
        '[trust]\nrelease_keys = ["k.pub"]\n[[pipeline]]\nname = "p"\nbundle = "b.ewb"\n'
        '[[pipeline.stream]]\nname = "s"\nurl = "http://cam/video?user=me&pwd=verysecret"\n'
    )
    command = [sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "verysecret" not in done.stdout + done.stderr
    printed = tomllib.loads(done.stdout)
    assert printed["pipeline"][0]["bundle"] == str(tmp_path / "b.ewb")
    assert printed["pipeline"][0]["stream"][0]["stall_after_s"] == 3.0
