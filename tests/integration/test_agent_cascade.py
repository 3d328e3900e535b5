"""The whole agent with real models one after the other: configured, verified, run, published."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.link.messages import Detections, Inventory, Metrics
from tests.conftest import Signed
from tests.integration import real_models
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def faces(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return real_models.ULTRAFACE.signed(tmp_path_factory.mktemp("faces"), test_data / "models")


def test_faces_are_found_in_people_and_told_over_mqtt(
    yolox: Signed,
    faces: Signed,
    test_data: Path,
    broker: Broker,
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> None:
    config = tmp_path / "edgeward.toml"
    config.write_text(
        '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
        f'[mqtt]\nurl = "{broker.url}"\n'
        f'[trust]\nrelease_keys = ["{yolox.key}", "{faces.key}"]\n[health]\nmetrics_interval_s = 1\n'
        f'[engine]\naffinity = [{min(os.sched_getaffinity(0))}]\nproviders = ["cpu"]\n'
        f'[[pipeline]]\nname = "p"\nbundle = "{yolox.bundle}"\nvariant = "onnx-float32"\nweight = 50\n'
        f'[[pipeline.stage]]\nname = "face"\nbundle = "{faces.bundle}"\nlabels = ["person"]\n'
        f"min_score = 0.9\n"
        f'[[pipeline.stream]]\nname = "cam"\nurl = "{test_data / "images" / "face.jpg"}"\nloop = true\n'
        f"max_fps = 5\n"
    )
    heard = subscribe(broker.port)
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    try:
        event = heard.wait(Detections, lambda body: body.detections, 30)
        for one in event.detections:
            assert bool(one.inside) == (one.label == "person" and one.score >= 0.9)
        found = [face for one in event.detections for stage in one.inside for face in stage.detections]
        assert {(stage.stage) for one in event.detections for stage in one.inside} == {"face"}
        assert max(face.score for face in found) > 0.9
        inventory = heard.wait(Inventory, lambda body: body.bundles and body.bundles[0].engine)
        assert [(one.stage, one.name) for one in inventory.bundles] == [
            ("", "yolox-nano"),
            ("face", "version-rfb-320"),
        ]
        assert inventory.bundles[0].variant == "onnx-float32"
        metrics = heard.wait(Metrics, lambda body: body.pipelines["p"].wall_s)
        assert metrics.pipelines["p"].batch >= 1
        assert metrics.pipelines["p"].wall_s["infer"] > 0
        told = agent.wait_line("workers share the processors by ")
        if "nice levels" in told:
            level = psutil.Process(agent.process.pid).nice() + 3
            worker = psutil.Process(metrics.pipelines["p"].pid)
            assert {_nice_of(worker.pid, thread.id) for thread in worker.threads()} == {level}
    finally:
        agent.end()
    assert agent.process.returncode == 0


def _nice_of(pid: int, thread: int) -> int:
    """Of one thread: field 19 of its stat, proc(5)."""
    stat = Path(f"/proc/{pid}/task/{thread}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[16])
