"""A real agent and a real worker on a film of 10 frames a second, beside a thermal zone that gets hot."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from agent.link.messages import Metrics, StreamMetrics
from tests.conftest import Signed
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber

pytestmark = pytest.mark.integration

FPS = 10
LOWEST = 0.2


def film(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(FPS * 20):
            picture = np.full((240, 320, 3), 60 + number % 100, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


class Rig:
    """An agent with one stream, its metrics, and the zone beside it."""

    def __init__(self, agent: AgentProcess, heard: Subscriber, zone: Path) -> None:
        self.agent = agent
        self.heard = heard
        self._zone = zone

    def celsius(self, value: float) -> None:
        # By rename: the agent never reads half of a number.
        new = self._zone.with_name("new")
        new.write_text(f"{round(value * 1000)}\n")
        new.rename(self._zone)

    def stream(self, fits: Callable[[StreamMetrics], bool] = lambda _: True) -> StreamMetrics:
        """What the next metrics that fit say of the stream."""
        body = self.heard.wait(
            Metrics,
            lambda body: fits(body.pipelines["line"].streams["cam"]),
            40,
            after=self.heard.mark(),
        )
        found = body.pipelines["line"].streams["cam"]
        assert isinstance(found, StreamMetrics)
        return found

    def governed_share(self, frames: int) -> tuple[float, StreamMetrics]:
        """Of the next frames, the share that the governor left out; and the last metrics."""
        first = self.stream()
        last = self.stream(lambda now: now.decoded >= first.decoded + frames)
        left_out = last.dropped.get("governed", 0) - first.dropped.get("governed", 0)
        return left_out / (last.decoded - first.decoded), last

    def worker_pid(self) -> int:
        body = self.heard.wait(
            Metrics, lambda body: body.pipelines["line"].pid is not None, after=self.heard.mark()
        )
        pid = body.pipelines["line"].pid
        assert isinstance(pid, int)
        return pid


@pytest.fixture
def rig(yolox: Signed, broker: Broker, subscribe: Callable[..., Subscriber], tmp_path: Path) -> Iterator[Rig]:
    zone = tmp_path / "board/sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    for name, text in (
        ("type", "cpu-thermal"),
        ("temp", "50000"),
        ("trip_point_0_type", "passive"),
        ("trip_point_0_temp", "85000"),
    ):
        (zone / name).write_text(f"{text}\n")
    config = tmp_path / "edgeward.toml"
    config.write_text(
        f'[device]\nid = "dev"\nstate_dir = "state"\nprofile = "generic"\n[control]\nsocket = ""\n'
        f'[mqtt]\nurl = "{broker.url}"\n[trust]\nrelease_keys = ["{yolox.key}"]\n'
        "[health]\nmetrics_interval_s = 1\n[preflight]\nenabled = false\n"
        f'[governor]\nroot = "{tmp_path}/board"\nsteps = [1.0, 0.5, {LOWEST}]\ninterval_s = 0.2\n'
        "hold_s = 0.4\nrecover_s = 1.0\nlongest_recover_s = 4.0\n"
        f'[[pipeline]]\nname = "line"\nbundle = "{yolox.bundle}"\n'
        f'[[pipeline.stream]]\nname = "cam"\nurl = "{film(tmp_path / "film.mp4")}"\nloop = true\n'
        "stall_after_s = 1.0\n"
    )
    heard = subscribe(broker.port)
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    try:
        rig = Rig(agent, heard, zone / "temp")
        rig.stream(lambda now: now.results >= FPS)
        yield rig
    finally:
        if agent.process.poll() is None:
            agent.end()


def test_heat_lowers_the_rate_of_detections_and_cold_gives_it_back(rig: Rig) -> None:
    rig.agent.wait_line("governed by: zone cpu-thermal (from 75 °C on)")
    share, _ = rig.governed_share(2 * FPS)
    assert share == 0
    rig.celsius(88)
    line = rig.agent.wait_line(f"detection rate lowered to {LOWEST:.0%}")
    assert "zone cpu-thermal is at 88 °C; the board slows down at 85 °C" in line
    rig.governed_share(FPS)  # what was on its way is over
    share, hot = rig.governed_share(6 * FPS)
    assert share == pytest.approx(1 - LOWEST, abs=0.06)
    assert hot.state == "running", "fewer results are no stall"

    rig.celsius(50)
    rig.agent.wait_line("detection rate raised to 100%", 30)
    rig.governed_share(FPS)
    share, _ = rig.governed_share(3 * FPS)
    assert share == 0
    assert not any("stalled" in line for line in rig.agent.lines)


def test_a_worker_that_is_started_anew_keeps_to_the_lowered_rate(rig: Rig) -> None:
    rig.celsius(88)
    rig.agent.wait_line(f"detection rate lowered to {LOWEST:.0%}")
    killed = rig.worker_pid()
    os.kill(killed, signal.SIGKILL)
    rig.heard.wait(
        Metrics,
        lambda body: (
            body.pipelines["line"].pid not in {None, killed}
            and body.pipelines["line"].streams["cam"].decoded > FPS
        ),
        40,
        after=rig.heard.mark(),
    )
    share, _ = rig.governed_share(6 * FPS)
    assert share == pytest.approx(1 - LOWEST, abs=0.06)
