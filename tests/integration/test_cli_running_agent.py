"""The commands of a running device, asked of a real agent: what they say is so, and what they do happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import ExitStatus
from tests.integration.agent_peers import ROOT, AgentFolder

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-P", "-m", "agent.cli.main"]


class Site:
    """One agent, and the command line beside it."""

    def __init__(
        self, agents: AgentFolder, broker: Any, pipelines: tuple[str, ...] = ("line", "other")
    ) -> None:
        self.agents, self.broker = agents, broker
        self.config = agents.write(broker.url, dict.fromkeys(pipelines, "ok"))
        self.socket = agents.folder / "control.sock"
        self.agent = agents.start(self.config)
        for name in pipelines:
            self.agent.wait_line(f"{name}/cam runs: first result")
        self.agent.wait_line(f"connected to 127.0.0.1:{broker.port}")

    def write(self, *pipelines: str) -> None:
        self.agents.write(self.broker.url, dict.fromkeys(pipelines, "ok"))

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "EDGEWARD_SOCKET": str(self.socket)}

    def start(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.start([*COMMAND, *words])

    def text(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.text(*words, "--json"))

    def pids(self) -> dict[str, int]:
        return {item["name"]: item["pid"] for item in self.json("status")["pipelines"]}


@pytest.fixture(name="site")
def site_with_two_pipelines(broker: Any, agents: AgentFolder) -> Site:
    return Site(agents, broker)


def test_status_shows_the_device_and_its_pipelines_within_80_columns(site: Site) -> None:
    shown = site.text("status")
    assert "PIPELINE, STREAM" in shown
    assert "fake-line 1.0.0 on fake" in shown
    assert f"connected to 127.0.0.1:{site.broker.port}" in shown
    assert max(map(len, shown.splitlines())) <= 80
    found = site.json("status")
    assert found["pid"] == site.agent.process.pid
    assert found["link"]["connected"] is True
    assert [stream["state"] for item in found["pipelines"] for stream in item["streams"]] == ["running"] * 2


def test_a_killed_worker_is_in_the_events_the_log_and_the_details(site: Site) -> None:
    mark = len(site.agent.lines)
    os.kill(site.pids()["line"], signal.SIGKILL)
    site.agent.wait_line("line: the worker ended", after=mark)
    site.agent.wait_line("line: fake 1.0.0 runs", after=mark)
    events = map(json.loads, site.text("events", "--json").splitlines())
    ended = [event for event in events if event["kind"] == "worker.ended"]
    assert [(event["subject"], event["code"]) for event in ended] == [("line", "worker.died")]
    assert "killed by SIGKILL" in ended[0]["text"]
    assert "line: the worker ended: killed by SIGKILL" in site.text("logs", "--pipeline", "line")
    assert "killed by SIGKILL" not in site.text("logs", "--pipeline", "other")
    details = site.text("status", "line")
    assert "restarts  1, the last one: " in details
    assert "killed by SIGKILL" in details
    site.agent.wait_line("health is degraded", after=mark)
    assert site.run("status", "--exit-code").returncode == ExitStatus.DEGRADED


def test_pipelines_stop_start_and_restart_and_the_others_do_not_notice(site: Site) -> None:
    before = site.pids()
    assert "line: running" in site.text("pipelines", "restart", "line")
    restarted = site.pids()
    assert restarted["line"] not in {0, before["line"]}
    assert "line: stopped" in site.text("pipelines", "stop", "line")
    assert site.pids()["line"] == 0
    assert site.json("pipelines", "start", "line")["state"] == "running"
    assert site.pids()["other"] == before["other"]
    unknown = site.run("pipelines", "stop", "lime")
    assert unknown.returncode == ExitStatus.AGENT
    assert "[control.unknown-pipeline]" in unknown.stderr


def test_a_reload_starts_and_stops_what_changed_and_a_bad_file_nothing(site: Site) -> None:
    before = site.pids()
    site.write("line", "third")
    assert site.text("config", "check", str(site.config)).endswith(": good\n")
    changed = site.json("reload")
    assert (changed["started"], changed["stopped"], changed["unchanged"]) == (["third"], ["other"], ["line"])
    good = site.config.read_text()
    site.config.write_text(good + "\nkeepaliv = 3\n")
    refused = site.run("reload")
    assert refused.returncode == ExitStatus.CONFIG
    assert "keepaliv: unknown key" in refused.stderr
    assert site.run("config", "check", str(site.config)).returncode == ExitStatus.CONFIG
    after = site.pids()
    assert sorted(after) == ["line", "third"]
    assert after["line"] == before["line"]
    assert "the file was refused" in site.text("status")


def test_what_runs_is_shown_whatever_the_file_says_now(site: Site) -> None:
    site.write("somebody", "else")
    assert '"line"' in site.text("config", "show", "--running")
    assert '"somebody"' in site.text("config", "show", "--config", str(site.config))


def test_detections_are_followed_as_they_come(site: Site) -> None:
    words = [*COMMAND, "events", "--follow", "--recent", "0", "--detections", "--pipeline", "line", "--json"]
    with subprocess.Popen(words, env=site.environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            event = json.loads(process.stdout.readline())
        finally:
            process.kill()
    assert event["kind"] == "detections"
    assert (event["json"]["pipeline"], event["json"]["detections"][0]["label"]) == ("line", "thing")


def test_a_drained_device_has_no_worker_and_still_answers(site: Site) -> None:
    assert sorted(site.json("drain")["stopped"]) == ["line", "other"]
    assert site.json("status")["draining"] is True
    assert site.pids() == {"line": 0, "other": 0}
    assert "line: running" in site.text("pipelines", "start", "line")


def test_a_picture_that_is_not_there_leaves_no_file(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "now.jpg"
    done = site.run("snapshot", "line/cam", "-o", str(out))
    assert done.returncode == ExitStatus.AGENT
    assert "[control.no-picture]" in done.stderr
    assert not out.exists()


def test_no_picture_of_a_stopped_pipeline_says_how_to_start_it_and_blames_no_camera(site: Site) -> None:
    site.text("pipelines", "stop", "other")
    done = site.run("snapshot", "other/cam", "-o", "now.jpg")
    site.text("pipelines", "start", "other")
    assert done.returncode == ExitStatus.AGENT
    assert "edgeward pipelines start" in done.stderr
    assert "camera" not in done.stderr


# All is imported before: somebody else may not be allowed to read where Python lies.
AS_SOMEBODY_ELSE = """
import os, sys, agent.cli.status, agent.control.client
from agent.cli.main import main
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(main(["status"]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_whoever_may_not_use_the_socket_is_told_how_to_be_allowed(site: Site) -> None:
    done = site.start([sys.executable, "-c", AS_SOMEBODY_ELSE])
    assert done.returncode == ExitStatus.AGENT
    assert "become a member of the group edgeward" in done.stderr
    assert "[control.permission]" in done.stderr
