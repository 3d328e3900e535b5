"""What systemd hears of a real agent: ready, how it is, progress, reloads, the end; and what signals do."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.link import messages
from tests.integration.agent_peers import AgentProcess, NotifySocket

pytestmark = pytest.mark.integration


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path / "notify") as listening:
        yield listening


def environment(tmp_path: Path, watchdog_s: float = 30) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(round(watchdog_s * 1e6))}


def results(pipeline: str) -> Callable[[messages.Metrics], bool]:
    return lambda body: pipeline in body.pipelines and body.pipelines[pipeline].streams["cam"].fps > 5


def test_systemd_hears_ready_status_watchdog_and_stopping(
    broker: Any, agents: Any, notify: NotifySocket, tmp_path: Path
) -> None:
    agent = agents.start(agents.write(broker.url, {"line": "ok"}), env=environment(tmp_path, 0.4))
    assert notify.wait("READY=1")
    assert notify.wait("WATCHDOG=1")
    assert notify.wait("STATUS=1 of 1 pipelines run; health ")
    assert notify.wait("WATCHDOG=1")
    assert agent.end() == 0
    assert notify.wait("STOPPING=1")


def test_the_status_counts_the_pipelines_that_run(
    broker: Any, agents: Any, notify: NotifySocket, tmp_path: Path
) -> None:
    agents.start(agents.write(broker.url, {"line": "ok", "other": "missing"}), env=environment(tmp_path))
    assert notify.wait("STATUS=1 of 2 pipelines run; health failed")


def test_sighup_reloads_and_systemd_hears_both_ends_of_it(
    broker: Any, agents: Any, subscribe: Callable[..., Any], notify: NotifySocket, tmp_path: Path
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}), env=environment(tmp_path))
    assert notify.wait("READY=1")
    before = listener.wait(messages.Metrics, results("line"))
    agents.write(broker.url, {"line": "ok", "second": "ok"})
    agent.process.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in notify.wait("RELOADING=1")
    assert notify.wait("READY=1")
    after = listener.wait(messages.Metrics, results("second"))
    assert after.pipelines["line"].pid == before.pipelines["line"].pid
    assert agent.end() == 0


def test_sighup_with_a_bad_file_changes_nothing_and_the_agent_is_ready_again(
    broker: Any, agents: Any, subscribe: Callable[..., Any], notify: NotifySocket, tmp_path: Path
) -> None:
    listener = subscribe(broker.port)
    config = agents.write(broker.url, {"line": "ok"})
    agent = agents.start(config, env=environment(tmp_path))
    before = listener.wait(messages.Metrics, results("line"))
    config.write_text(config.read_text().replace("bundle", "bundel"))
    mark = listener.mark()
    agent.process.send_signal(signal.SIGHUP)
    assert notify.wait("RELOADING=1")
    assert notify.wait("READY=1")
    assert "did you mean 'bundle'?" in agent.wait_line("the configuration stays as it was")
    after = listener.wait(messages.Metrics, results("line"), after=mark)
    assert after.pipelines["line"].pid == before.pipelines["line"].pid
    assert agent.end() == 0


def test_a_stop_that_takes_long_asks_systemd_for_time_and_not_for_ever(
    broker: Any, agents: Any, subscribe: Callable[..., Any], notify: NotifySocket, tmp_path: Path
) -> None:
    listener = subscribe(broker.port)
    config = agents.write(broker.url, {"line": "ignore-stop"})
    script = Path(__file__).with_name("agent_with_stuck_part.py")
    settings = json.dumps({"stop_grace": 2})
    agent = AgentProcess([sys.executable, str(script), str(config), settings, "stop"], environment(tmp_path))
    agents.started.append(agent)
    listener.wait(messages.Metrics, results("line"))
    agent.process.send_signal(signal.SIGTERM)
    assert notify.wait("STOPPING=1")
    for _ in range(3):
        assert notify.wait("EXTEND_TIMEOUT_USEC=400000")
    assert not notify.hears("EXTEND_TIMEOUT_USEC", 0.5)
    assert agent.end(0) == 0  # no second signal: that would not be in order


def test_a_sighup_while_it_stops_reads_and_starts_nothing(
    broker: Any, agents: Any, subscribe: Callable[..., Any], notify: NotifySocket, tmp_path: Path
) -> None:
    listener = subscribe(broker.port)
    config = agents.write(broker.url, {"line": "ignore-stop"})
    agent = agents.start(config, env=environment(tmp_path), stop_grace=1)
    listener.wait(messages.Metrics, results("line"))
    agent.process.send_signal(signal.SIGTERM)
    assert notify.wait("STOPPING=1")
    agents.write(broker.url, {"line": "ignore-stop", "second": "ok"})
    agent.process.send_signal(signal.SIGHUP)
    agent.wait_line("SIGHUP")
    assert not notify.hears("RELOADING=1", 0.5)
    assert agent.end(0) == 0
    assert "second" not in agent.log


def test_a_stop_during_a_reload_is_not_followed_by_ready(
    broker: Any, agents: Any, subscribe: Callable[..., Any], notify: NotifySocket, tmp_path: Path
) -> None:
    listener = subscribe(broker.port)
    config = agents.write(broker.url, {"line": "ignore-stop"})
    agent = agents.start(config, env=environment(tmp_path), stop_grace=2)
    listener.wait(messages.Metrics, results("line"))
    agents.write(broker.url, {})  # the reload waits for the worker, which does not end
    agent.process.send_signal(signal.SIGHUP)
    assert notify.wait("RELOADING=1")
    agent.process.send_signal(signal.SIGTERM)
    assert notify.wait("STOPPING=1")
    assert not notify.hears("READY=1", 1)
    assert agent.end(0) == 0


def test_a_stop_before_the_first_round_of_supervision_is_obeyed(
    broker: Any, agents: Any, notify: NotifySocket, tmp_path: Path
) -> None:
    config = agents.write(broker.url, {"line": "ok"})
    script = Path(__file__).with_name("agent_with_stuck_part.py")
    agent = AgentProcess([sys.executable, str(script), str(config), "{}", "start"], environment(tmp_path))
    agents.started.append(agent)
    agent.wait_line("listening on")
    assert not notify.hears("READY=1", 0.5)
    assert agent.end() == 0


@pytest.mark.parametrize(
    ("part", "name"),
    [("supervision", "supervision"), ("link", "the link"), ("store", "the state folder")],
)
def test_a_part_that_is_stuck_is_named_and_the_watchdog_is_not_fed_any_more(
    broker: Any, agents: Any, notify: NotifySocket, tmp_path: Path, part: str, name: str
) -> None:
    config = agents.write(broker.url, {"line": "ok"})
    script = Path(__file__).with_name("agent_with_stuck_part.py")
    agent = AgentProcess([sys.executable, str(script), str(config), "{}", part], environment(tmp_path, 0.4))
    agents.started.append(agent)
    assert notify.wait("WATCHDOG=1")
    assert f"{name} made no progress for" in agent.wait_line("the watchdog is not fed any more")
    notify.drain()
    # Three times as long as systemd would wait.
    assert not notify.hears("WATCHDOG=1", 1.2)
