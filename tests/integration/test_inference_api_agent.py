"""The whole agent with a served pipeline: the client's view of a device, and of a worker that is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from agent.link.messages import Metrics
from tests.conftest import Signed
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber, free_port
from tests.integration.triton_calls import Triton, triton

pytestmark = pytest.mark.integration


class Device:
    """An agent whose only pipeline is served, the client, and a subscriber."""

    def __init__(self, agent: AgentProcess, client: Triton, heard: Subscriber) -> None:
        self.agent = agent
        self.client = client
        self.heard = heard

    def worker_pid(self, *, other_than: int | None = None) -> int:
        metrics = self.heard.wait(
            Metrics, lambda body: body.pipelines["p"].pid not in {None, other_than}, after=self.heard.mark()
        )
        pid = metrics.pipelines["p"].pid
        assert isinstance(pid, int)
        return pid


@pytest.fixture(params=["port", "socket"])
def device(
    request: pytest.FixtureRequest,
    yolox: Signed,
    test_data: Path,
    broker: Broker,
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> Iterator[Device]:
    listen = f"127.0.0.1:{free_port()}" if request.param == "port" else f"unix:{tmp_path}/infer.sock"
    config = tmp_path / "edgeward.toml"
    config.write_text(
        f'[device]\nid = "dev"\nstate_dir = "state"\n[mqtt]\nurl = "{broker.url}"\n'
        f'[trust]\nrelease_keys = ["{yolox.key}"]\n[health]\nmetrics_interval_s = 1\n'
        f'[[pipeline]]\nname = "p"\nbundle = "{yolox.bundle}"\n'
        f'[pipeline.serve]\nlisten = "{listen}"\n'
        f'[[pipeline.stream]]\nname = "cam"\nurl = "{test_data}/videos/car-detection.mp4"\n'
        "loop = true\nmax_fps = 5\n"
    )
    heard = subscribe(broker.port)
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    try:
        agent.wait_line("loaded in", 60)
        with triton(listen) as client:
            yield Device(agent, client, heard)
    finally:
        if agent.process.poll() is None:
            agent.end()


def test_a_client_is_answered_as_by_a_direct_run_and_again_after_the_worker_was_killed(
    device: Device, yolox: Signed
) -> None:
    data = np.random.default_rng(1).random((1, 3, 416, 416), np.float32) * 255
    (direct,) = onnxruntime.InferenceSession(str(yolox.model)).run(None, {"images": data})
    client = device.client
    name = client_model(client)
    assert client.live() == (True, True)
    assert client.model_ready(name)
    metadata = client.metadata(name)
    assert metadata["inputs"] == [{"name": "images", "datatype": "FP32", "shape": ["1", "3", "416", "416"]}]
    answer = client.infer(name, {"images": data}, id="first")
    assert answer.id == "first"
    np.testing.assert_allclose(answer.outputs["output"], direct, rtol=1e-4, atol=1e-4)

    pid = device.worker_pid()
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text(), "it listens although it is confined"
    os.kill(pid, signal.SIGKILL)
    device.agent.wait_line("SIGKILL", 10)
    assert set(client.wait_answer(name, {"images": data}, 60)) <= {"UNAVAILABLE", "CANCELLED"}
    assert device.worker_pid(other_than=pid) != pid
    again = client.infer(name, {"images": data})
    np.testing.assert_allclose(again.outputs["output"], direct, rtol=1e-4, atol=1e-4)
    assert device.agent.end() == 0
    assert client.infer(name, {"images": data}).status == "UNAVAILABLE"


def client_model(client: Triton) -> str:
    """The name of the only model."""
    answer = client.infer("none", {"x": np.zeros(1, np.float32)})
    assert answer.status == "NOT_FOUND"
    return answer.text.partition("there is ")[2].split()[0]


def test_a_new_configuration_moves_two_pipelines_to_each_others_place_and_leaves_a_third_alone(
    yolox: Signed, test_data: Path, broker: Broker, subscribe: Callable[..., Subscriber], tmp_path: Path
) -> None:
    places = [f"unix:{tmp_path}/{place}.sock" for place in ("one", "two", "three")]
    config = tmp_path / "edgeward.toml"

    def write(listens: dict[str, str]) -> None:
        text = (
            f'[device]\nid = "dev"\nstate_dir = "state"\n[mqtt]\nurl = "{broker.url}"\n'
            f'[trust]\nrelease_keys = ["{yolox.key}"]\n[health]\nmetrics_interval_s = 1\n'
        )
        for pipeline, listen in listens.items():
            text += f'[[pipeline]]\nname = "{pipeline}"\nbundle = "{yolox.bundle}"\n'
            text += (
                f'[pipeline.serve]\nlisten = "{listen}"\nmax_queue = {8 + len(pipeline)}\n' if listen else ""
            )
            text += f'[[pipeline.stream]]\nname = "cam"\nurl = "{test_data}/videos/car-detection.mp4"\n'
            text += "loop = true\nmax_fps = 2\n"
        config.write_text(text)

    def pids() -> dict[str, int | None]:
        metrics = heard.wait(
            Metrics,
            lambda body: all(one.pid is not None for one in body.pipelines.values()),
            after=heard.mark(),
        )
        return {pipeline: one.pid for pipeline, one in metrics.pipelines.items()}

    write(dict(zip(("a", "bb", "ccc"), places, strict=True)))
    data = {"images": np.zeros((1, 3, 416, 416), np.float32)}
    heard = subscribe(broker.port)
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    try:
        agent.wait_line("loaded in", 60)
        with triton(places[0]) as one, triton(places[1]) as two, triton(places[2]) as three:
            name = "yolox-nano"
            for client in (one, two, three):
                client.wait_answer(name, data, 60)
            before = pids()
            write({"a": places[1], "bb": places[0], "ccc": places[2]})
            agent.process.send_signal(signal.SIGHUP)
            agent.wait_line("was read again", 30)
            assert set(three.wait_answer(name, data, 1)) == set()
            for client in (one, two):
                client.wait_answer(name, data, 60)
            after = pids()
            assert {key for key in before if before[key] == after[key]} == {"ccc"}

            write({"a": places[1], "bb": "", "ccc": places[2]})
            agent.process.send_signal(signal.SIGHUP)
            agent.wait_line("was read again: restarted: bb", 30)
            assert one.infer(name, data).status == "UNAVAILABLE"
            assert not two.infer(name, data).status
        assert agent.end() == 0
    finally:
        if agent.process.poll() is None:
            agent.end()
