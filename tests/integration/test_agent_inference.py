"""The agent's side of cascades and of models that do more than detect: verified, told, published, counted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from agent.link import messages
from agent.link.event import MAX_EVENT_BYTES

pytestmark = pytest.mark.integration

STAGE = '[[pipeline.stage]]\nname = "plate"\nbundle = "plates.ewb"\nlabels = ["car", "bus"]\n'


def is_of(pipeline: str) -> Callable[[messages.Detections], bool]:
    return lambda body: body.pipeline == pipeline


def check_text(part: str) -> Callable[[messages.Health], bool]:
    return lambda body: any(part in check.text for check in body.checks)


def test_a_cascade_runs_when_every_bundle_is_verified_and_all_are_in_the_inventory(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agents.behave("plates", "missing")
    config = agents.write(broker.url, {"line": "ok"}, pipeline=STAGE)
    agent = agents.start(config, refused_retry=3600, look_for_bundle=0.05)
    health = listener.wait(messages.Health, check_text("plates.ewb: no such file"))
    refused = next(check for check in health.checks if check.id == "pipeline_state")
    assert (refused.code, refused.severity, refused.subject) == ("bundle.missing", "critical", "line")
    assert not any("worker:" in line for line in agent.lines), "nothing ran before all was verified"

    agents.behave("plates", "plates-1")
    agent.wait_line("line/plate: bundle fake-plates 1.0.0 is verified")
    agent.wait_line("worker: stage plate: plates-1 for car, bus")
    inventory = listener.wait(messages.Inventory, lambda body: body.bundles and body.bundles[0].engine)
    first, plate = inventory.bundles
    assert (first.pipeline, first.stage, first.variant, first.engine) == ("line", "", "fake-float32", "fake")
    assert (plate.pipeline, plate.stage, plate.name, plate.variant) == ("line", "plate", "fake-plates", "")
    assert first.digest != plate.digest
    assert agent.end() == 0


def test_the_bundle_of_a_stage_that_changed_is_verified_anew_at_the_next_start(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agents.behave("plates", "plates-1")
    agent = agents.start(agents.write(broker.url, {"line": "ok"}, pipeline=STAGE))
    metrics = listener.wait(messages.Metrics, lambda body: body.pipelines["line"].batch)
    os.kill(metrics.pipelines["line"].pid, signal.SIGKILL)
    listener.wait(messages.Metrics, lambda body: body.pipelines["line"].restarts == 1)
    verified = "line/plate: bundle fake-plates 1.0.0 is verified"
    assert sum(verified in line for line in agent.lines) == 1, "what is the same is not verified again"

    mark = len(agent.lines)
    agents.behave("plates", "plates-2")
    again = listener.wait(
        messages.Metrics,
        lambda body: (
            body.pipelines["line"].state == "running"
            and body.pipelines["line"].pid not in {None, metrics.pipelines["line"].pid}
        ),
    )
    os.kill(again.pipelines["line"].pid, signal.SIGKILL)
    agent.wait_line(verified, after=mark)
    agent.wait_line("worker: stage plate: plates-2", after=mark)
    assert agent.end() == 0


def test_all_kinds_of_findings_and_the_figures_of_the_worker_arrive(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "everything"}))
    event = listener.wait(messages.Detections)
    (thing,) = event.detections
    assert thing.keypoints == (messages.Keypoint(name="nose", x=1.5, y=2.5, score=0.8),)
    assert thing.mask is not None
    assert thing.mask.runs == (1, 3)
    assert thing.inside == (
        messages.Inside(stage="kind", classes=(messages.Classified(label="scratch", score=0.75),)),
    )
    assert event.classes == (messages.Classified(label="street", score=0.5),)
    assert event.segmentation is not None
    assert event.segmentation.shares == {"road": 0.5}
    assert event.embedding == (0.6, 0.8)
    assert event.tensors[0].data == b"\x01\x00\x02\x00"
    metrics = listener.wait(messages.Metrics, lambda body: body.pipelines["line"].wall_s)
    assert metrics.pipelines["line"].wall_s == {"decode": 0.2, "infer": 0.3}
    assert metrics.pipelines["line"].batch == 4
    assert agent.end() == 0


def test_a_result_that_is_too_large_is_told_as_failed_and_others_still_arrive(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"big": "huge-tensor fps=5", "line": "ok"}))
    event = listener.wait(messages.Detections, is_of("big"))
    assert event.status == "failed"
    assert f"an event has {MAX_EVENT_BYTES} at most" in event.why
    assert listener.wait(messages.Detections, is_of("line")).detections
    assert agent.end() == 0


def test_nonempty_leaves_out_what_has_no_findings_of_any_kind(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    behaviours = {"nothing": "empty", "line": "everything"}
    agent = agents.start(agents.write(broker.url, behaviours, pipeline='publish = "nonempty"'))
    listener.wait(messages.Metrics, lambda body: body.pipelines["nothing"].streams["cam"].results > 20)
    listener.wait(messages.Detections, is_of("line"))
    bodies = [messages.decode(message.payload)[1] for message in listener.messages]
    assert not any(isinstance(body, messages.Detections) and body.pipeline == "nothing" for body in bodies)
    assert agent.end() == 0


def test_a_worker_runs_with_the_weight_of_its_pipeline_and_the_log_says_which_way(
    broker: Any, agents: Any, subscribe: Callable[..., Any]
) -> None:
    listener = subscribe(broker.port)
    agent = agents.start(agents.write(broker.url, {"line": "ok"}, pipeline="weight = 25"))
    told = agent.wait_line("workers share the processors by ")
    assert "nice levels" in told or "cgroups" in told
    metrics = listener.wait(messages.Metrics, lambda body: body.pipelines["line"].pid is not None)
    if "nice levels" in told:
        own = psutil.Process(agent.process.pid).nice()
        assert psutil.Process(metrics.pipelines["line"].pid).nice() == own + 6
    assert (agents.state_dir / "cache").stat().st_mode & 0o777 == 0o700
    assert agent.end() == 0
