"""A model that is slower here than its author promised is told, on the way from the manifest to health."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.link.messages import Health
from bench.models import YOLOX
from tests.conftest import make_signed
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber

pytestmark = pytest.mark.integration


def test_a_model_over_its_budget_is_a_warning_once_it_holds(
    test_data: Path, broker: Broker, subscribe: Callable[..., Subscriber], tmp_path: Path
) -> None:
    author = tmp_path / "author"
    author.mkdir()
    (author / "bundle.toml").write_text(f"{YOLOX}\n[budgets]\nlatency_p95_ms = 0.2\n")
    (author / "model.onnx").write_bytes((test_data / "models" / "yolox_nano.onnx").read_bytes())
    (author / "coco.names").write_bytes((test_data / "models" / "coco.names").read_bytes())
    made = make_signed(tmp_path, author, author / "model.onnx")
    film = test_data / "videos" / "bottle-detection.mp4"
    config = tmp_path / "edgeward.toml"
    config.write_text(
        '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
        f'[mqtt]\nurl = "{broker.url}"\n[trust]\nrelease_keys = ["{made.key}"]\n'
        "[preflight]\nenabled = false\n"
        f'[[pipeline]]\nname = "p"\nbundle = "{made.bundle}"\n'
        f'[[pipeline.stream]]\nname = "film"\nurl = "{film}"\nloop = true\nmax_fps = 5\n'
    )
    heard = subscribe(broker.port, "ew/1/dev/up/health")
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    try:
        health = heard.wait(
            Health,
            lambda body: any(each.id == "model_latency" and each.severity != "ok" for each in body.checks),
            90,
        )
    finally:
        agent.end()
    (check,) = [each for each in health.checks if each.id == "model_latency"]
    assert (check.subject, check.severity, check.code) == ("p", "warning", "preflight.latency")
    assert "budget of 0.2 ms" in check.text
