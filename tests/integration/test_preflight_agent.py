"""The agent tries a bundle before it runs it: a refused one harms no other, and what passed is remembered."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.link.messages import CheckResult, Health, Inventory, Metrics
from tests.conftest import ROOT, Signed
from tests.integration import mischief
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber

pytestmark = pytest.mark.integration

FPS = 10  # of the film


class Site:
    """A device with two pipelines on one film, and who listens to it."""

    def __init__(self, folder: Path, broker: Broker, film: Path, heard: Subscriber) -> None:
        self.folder = folder
        self.heard = heard
        self.agents: list[AgentProcess] = []
        self._broker = broker
        self._film = film

    def write(self, bundles: dict[str, Signed], preflight: str = "", pipeline: str = "") -> None:
        keys = ", ".join(f'"{signed.key}"' for signed in bundles.values())
        text = (
            '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
            f'[mqtt]\nurl = "{self._broker.url}"\n'
            f"[trust]\nrelease_keys = [{keys}]\n[health]\nmetrics_interval_s = 1\n[preflight]\n{preflight}\n"
        )
        for name, signed in bundles.items():
            text += (
                f'[[pipeline]]\nname = "{name}"\nbundle = "{signed.bundle}"\n{pipeline}\n'
                f'[[pipeline.stream]]\nname = "cam"\nurl = "{self._film}"\nloop = true\n'
            )
        (self.folder / "edgeward.toml").write_text(text)

    def start(self) -> AgentProcess:
        command = [sys.executable, "-m", "agent.cli.main", "agent"]
        paths = {"PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"}
        self.agents.append(AgentProcess([*command, "--config", str(self.folder / "edgeward.toml")], paths))
        return self.agents[-1]

    def check_of(self, pipeline: str, severity: str, seconds: float = 40, after: int = 0) -> CheckResult:
        def fits(body: Health) -> bool:
            return any(
                (check.id, check.subject, check.severity) == ("pipeline_state", pipeline, severity)
                for check in body.checks
            )

        health = self.heard.wait(Health, fits, seconds, after=after)
        return next(
            check for check in health.checks if (check.id, check.subject) == ("pipeline_state", pipeline)
        )

    def state_of(self, pipeline: str, state: str, seconds: float = 40, after: int = 0) -> Metrics:
        found = self.heard.wait(
            Metrics, lambda body: body.pipelines[pipeline].state == state, seconds, after=after
        )
        assert isinstance(found, Metrics)
        return found

    def metrics(self, after: int) -> list[Metrics]:
        from agent.link import messages  # noqa: PLC0415

        bodies = [messages.decode(message.payload)[1] for message in self.heard.messages[after:]]
        return [body for body in bodies if isinstance(body, Metrics)]


@pytest.fixture
def site(
    tmp_path: Path,
    broker: Broker,
    subscribe: Callable[..., Any],
    test_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    mischief.install(tmp_path / "site", monkeypatch)
    film = test_data / "videos" / "one-by-one-person-detection.mp4"
    site = Site(tmp_path, broker, film, subscribe(broker.port))
    yield site
    for agent in site.agents:
        agent.end(signal.SIGKILL)


@pytest.mark.timeout(180)
def test_a_bundle_that_aborts_and_sleeps_is_refused_beside_a_pipeline_that_keeps_its_rate(
    site: Site, yolox: Signed, tmp_path: Path
) -> None:
    site.write({"line": yolox})
    first = site.start()
    running = site.state_of("line", "running")
    assert first.end() == 0

    deeds = {"asleep": "sleep", "aborts": "abort", "burns": "run:burn"}
    bad = mischief.bundle(tmp_path / "bad", deeds)
    site.write({"line": yolox, "bad": bad}, pipeline="load_timeout_s = 7")
    mark = site.heard.mark()
    agent = site.start()
    check = site.check_of("bad", "critical", after=mark)
    assert check.code == "preflight.refused"
    assert "variant 'asleep' loading did not end within 7 s" in check.text
    assert "variant 'aborts' its process ended while loading: killed by SIGABRT" in check.text
    assert "variant 'burns' loading did not end within 7 s" in check.text
    assert check.remedy

    # What was told while the bad one was tried: the good one ran, and lost none of its rate.
    tried = [body for body in site.metrics(mark) if body.pipelines["bad"].state == "preflight"]
    rates = [body.pipelines["line"].streams["cam"].fps for body in tried]
    # From when it has started, which takes as long as it takes, and with the first second left out.
    while_tried = list(itertools.dropwhile(lambda rate: rate == 0, rates))[1:]
    assert len(while_tried) >= 5
    assert sum(while_tried) / len(while_tried) > 0.9 * FPS, while_tried
    last = site.state_of("bad", "failed", after=mark)
    assert last.pipelines["line"].state == "running"
    assert last.pipelines["line"].restarts == 0
    assert last.pipelines["bad"].pid is None
    assert last.pipelines["bad"].restarts == 0, "no worker ever ran it"
    assert running.pipelines["line"].pid is not None
    children = psutil.Process(agent.process.pid).children(recursive=True)
    assert [one.pid for one in children] == [last.pipelines["line"].pid], "nothing of preflight is left"
    assert agent.end() == 0


@pytest.mark.timeout(180)
def test_the_fastest_variant_runs_and_neither_a_crash_nor_a_restart_tries_it_again(
    site: Site, tmp_path: Path
) -> None:
    bundle = mischief.bundle(tmp_path / "bundle", {"slow": "run:slow", "fast": "run:", "crash": "abort"})
    site.write({"line": bundle}, preflight="rounds = 30")
    agent = site.start()
    agent.wait_line("line: trying the variants of mischief 1.0.0", 30)
    agent.wait_line("line: variant crash is refused: its process ended while loading: killed by SIGABRT", 30)
    agent.wait_line("nobody checked whether its answers are right")
    inventory = site.heard.wait(Inventory, lambda body: body.bundles and body.bundles[0].engine, 30)
    assert inventory.bundles[0].variant == "fast"
    before = site.state_of("line", "running").pipelines["line"]
    assert before.pid is not None
    mark, lines = site.heard.mark(), len(agent.lines)
    os.kill(before.pid, signal.SIGKILL)
    site.heard.wait(
        Metrics,
        lambda body: body.pipelines["line"].state == "running" and body.pipelines["line"].restarts == 1,
        after=mark,
    )
    assert agent.end() == 0
    assert not any("trying the variants" in line for line in agent.lines[lines:])

    (record,) = (tmp_path / "state" / "preflight").iterdir()
    mark = site.heard.mark()
    again = site.start()
    site.state_of("line", "running", after=mark)
    assert again.end() == 0
    assert "trying the variants" not in again.log
    assert re.search(r"runs on mischief .*variant fast", again.log)

    record.write_bytes(b"{")
    mark = site.heard.mark()
    third = site.start()
    site.state_of("line", "running", after=mark)
    assert third.end() == 0
    assert "is damaged" in third.log
    assert "trying the variants" in third.log


def test_the_agent_answers_and_stops_at_once_while_a_variant_hangs(site: Site, tmp_path: Path) -> None:
    bundle = mischief.bundle(tmp_path / "bundle", {"deaf": "sleep deaf"})
    site.write({"line": bundle}, pipeline="load_timeout_s = 600")
    agent = site.start()
    site.state_of("line", "preflight")
    child = _examining(agent.process.pid)
    health = site.heard.wait(Health)
    assert health.state in {"ok", "degraded"}
    began = time.monotonic()
    assert agent.end() == 0
    assert time.monotonic() - began < 8
    assert not child.is_running()


def test_a_device_that_requires_golden_frames_refuses_a_bundle_without(site: Site, tmp_path: Path) -> None:
    bundle = mischief.bundle(tmp_path / "bundle", {"good": "run:"})
    site.write({"line": bundle}, preflight="require_golden = true")
    agent = site.start()
    check = site.check_of("line", "critical")
    assert check.code == "preflight.unchecked"
    assert agent.end() == 0


def test_a_variant_that_the_configuration_forces_is_the_only_one_that_is_tried(
    site: Site, tmp_path: Path
) -> None:
    bundle = mischief.bundle(tmp_path / "bundle", {"slow": "run:slow", "fast": "run:"})
    site.write({"line": bundle}, preflight="rounds = 30", pipeline='variant = "slow"')
    agent = site.start()
    inventory = site.heard.wait(Inventory, lambda body: body.bundles and body.bundles[0].engine, 30)
    assert inventory.bundles[0].variant == "slow"
    assert "variant fast" not in agent.log
    assert agent.end() == 0


def test_the_bundle_of_a_stage_is_tried_as_well(site: Site, tmp_path: Path) -> None:
    first = mischief.bundle(tmp_path / "first", {"good": "run:"}, name="first")
    stage = mischief.bundle(tmp_path / "stage", {"bad": "abort"}, name="plates")
    site.write({"line": first}, preflight="rounds = 30")
    config = tmp_path / "edgeward.toml"
    text = config.read_text().replace(f'"{first.key}"', f'"{first.key}", "{stage.key}"')
    config.write_text(f'{text}[[pipeline.stage]]\nname = "plate"\nbundle = "{stage.bundle}"\n')
    agent = site.start()
    check = site.check_of("line", "critical")
    assert check.code == "preflight.crashed"
    assert "plates 1.0.0" in check.text
    agent.wait_line("line/plate: variant bad is refused")
    assert agent.end() == 0


def _examining(agent: int) -> psutil.Process:
    """The child that has loaded its variant and sleeps."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in psutil.Process(agent).children():
            if "runtime.preflight" in child.cmdline() and child.status() == psutil.STATUS_SLEEPING:
                return child
        time.sleep(0.05)
    raise AssertionError("no child examines anything")
