"""The whole agent on real cameras: a stream that is lost and comes back, a worker that is killed."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from agent.link.messages import Detections, Health, Metrics
from examples.rtsp.access_units import encode_access_units
from tests.cameras import Cameras
from tests.conftest import Signed
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber

pytestmark = pytest.mark.integration

FPS = 15


def moving_square() -> Iterator[npt.NDArray[np.uint8]]:
    for index in range(FPS * 2):
        picture = np.full((240, 320, 3), 90, np.uint8)
        picture[80:160, index * 8 : index * 8 + 80] = (200, 120, 40)
        yield picture


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "square.aus"
    encode_access_units(moving_square(), path, codec="h264", fps=Fraction(FPS), gop=FPS)
    return path


class Rig:
    """An agent with one pipeline on real cameras, and a subscriber."""

    def __init__(self, agent: AgentProcess, cameras: Cameras, heard: Subscriber) -> None:
        self.agent = agent
        self.cameras = cameras
        self.heard = heard

    def wait_result(self, stream: str = "cam", seconds: float = 20, after: int = 0) -> Detections:
        found = self.heard.wait(
            Detections,
            lambda body: body.stream == stream and body.status == "detections",
            seconds,
            after=after,
        )
        assert isinstance(found, Detections)
        return found

    def wait_health(self, part: str, seconds: float, after: int = 0) -> Health:
        def fits(body: Health) -> bool:
            return any(
                part in check.text or part in check.code for check in body.checks if check.severity != "ok"
            )

        found = self.heard.wait(Health, fits, seconds, after=after)
        assert isinstance(found, Health)
        return found

    def worker_pid(self) -> int:
        metrics = self.heard.wait(Metrics, lambda body: body.pipelines["p"].pid is not None)
        assert isinstance(metrics, Metrics)
        pid = metrics.pipelines["p"].pid
        assert pid is not None
        return pid


@pytest.fixture
def rig(
    yolox: Signed,
    recording: Path,
    broker: Broker,
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> Iterator[Rig]:
    with Cameras({"cam": recording}) as cameras:
        config = tmp_path / "edgeward.toml"
        config.write_text(
            '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
            f'[mqtt]\nurl = "{broker.url}"\n'
            f'[trust]\nrelease_keys = ["{yolox.key}"]\n[health]\nmetrics_interval_s = 1\n'
            f'[[pipeline]]\nname = "p"\nbundle = "{yolox.bundle}"\n'
            f'[[pipeline.stream]]\nname = "cam"\nurl = "{cameras.url("cam")}"\n'
        )
        heard = subscribe(broker.port)
        agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
        try:
            rig = Rig(agent, cameras, heard)
            rig.wait_result()
            yield rig
        finally:
            if agent.process.poll() is None:
                agent.end()


def results(heard: Subscriber, after: int, until: int | None = None) -> list[Detections]:
    found = []
    for message in heard.messages[after:until]:
        if "/event/" in message.topic:
            _, body = __import__("agent.link.messages", fromlist=["decode"]).decode(message.payload)
            assert isinstance(body, Detections)
            found.append(body)
    return found


def test_a_camera_that_goes_away_is_stalled_with_its_reason_and_comes_back_within_5_s(rig: Rig) -> None:
    rig.cameras.stop(signal.SIGKILL)
    mark = rig.heard.mark()
    gone = time.monotonic()
    rig.wait_health("stalled", 8, after=mark)
    health = rig.wait_health("source.", 8, after=mark)
    stalled = next(check for check in health.checks if check.severity != "ok" and "cam" in check.subject)
    assert "nothing listens" in stalled.text or "broke" in stalled.text or "ended" in stalled.text, stalled
    assert stalled.remedy
    quiet = rig.heard.mark()
    time.sleep(max(0.0, gone + 10 - time.monotonic()))  # the outage itself, as long as the promise says
    assert not results(rig.heard, quiet), "nothing may be reported as seen while the camera is gone"

    back_ns = time.monotonic_ns()
    rig.cameras.start()
    back = rig.heard.mark()
    first = rig.wait_result(seconds=5, after=back)
    assert first.arrived_ns > back_ns, "what came before the outage is not reported as new"
    assert first.session > 0
    rig.heard.wait(Health, lambda body: body.state == "ok", 5, after=back)


def test_a_frozen_camera_is_stalled_and_nothing_old_is_reported_when_it_thaws(rig: Rig) -> None:
    rig.cameras.signal(signal.SIGSTOP)
    mark = rig.heard.mark()
    rig.wait_health("stalled", 8, after=mark)
    time.sleep(3)  # let a backlog grow that is older than what counts as fresh
    thawed_ns = time.monotonic_ns()
    rig.cameras.signal(signal.SIGCONT)
    back = rig.heard.mark()
    rig.wait_result(seconds=5, after=back)
    rig.heard.wait(Health, lambda body: body.state == "ok", 8, after=back)
    fresh = [one for one in results(rig.heard, back) if one.session > 0]
    assert all(one.arrived_ns > thawed_ns for one in fresh)


def test_a_killed_worker_is_back_within_3_s_and_its_load_time_and_is_named(rig: Rig) -> None:
    pid = rig.worker_pid()
    mark = rig.heard.mark()
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    rig.agent.wait_line("SIGKILL", 5)
    health = rig.wait_health("SIGKILL", 5, after=mark)
    assert health.state != "ok"
    dead_ns = time.monotonic_ns()
    rig.heard.wait(Detections, lambda body: body.arrived_ns > dead_ns, 10, after=mark)
    took = time.monotonic() - killed
    loaded = re.search(r"loaded in (\d+) ms", rig.agent.wait_line("loaded in", 5))
    load_s = int(loaded[1]) / 1e3 if loaded else 0.0
    assert took < 3 + load_s, f"{took:.2f} s with a load time of {load_s:.2f} s"
    assert rig.worker_pid() != pid or rig.heard.wait(
        Metrics, lambda body: body.pipelines["p"].pid not in {None, pid}, 5, after=mark
    )


def test_a_store_that_is_damaged_is_noticed_and_mended(rig: Rig, tmp_path: Path) -> None:
    pid = rig.worker_pid()
    (stored,) = (tmp_path / "state" / "bundles").glob("*/model.onnx")
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    mark = rig.heard.mark()
    os.kill(pid, signal.SIGKILL)
    rig.wait_health("bundle.digest", 10, after=mark)
    mended_ns = time.monotonic_ns()
    rig.heard.wait(Detections, lambda body: body.arrived_ns > mended_ns, 15, after=mark)
    assert stored.read_bytes() != bytes(data)


def test_killing_the_agent_leaves_no_worker_behind(rig: Rig) -> None:
    worker = psutil.Process(rig.worker_pid())
    rig.agent.end(signal.SIGKILL)
    worker.wait(5)
    assert not worker.is_running()
