"""Each request to a running agent's control socket, over the project's own client."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from runtime.errors import Code, EdgewardError
from tests.integration.agent_peers import wait_gone
from tests.integration.control_peer import connected, wait_status

pytestmark = pytest.mark.integration

NOWHERE = "mqtt://127.0.0.1:9"


def runs(name: str) -> Any:
    def check(status: pb.Status) -> bool:
        found = next((one for one in status.pipelines if one.name == name), None)
        return found is not None and found.state == "running" and found.streams[0].fps > 5

    return check


def by_name(status: pb.Status) -> dict[str, pb.Pipeline]:
    return {one.name: one for one in status.pipelines}


@pytest.fixture(name="one_agent")
def agent_that_answers(agents: Any) -> Iterator[Blocking]:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        yield client
    assert agent.end() == 0


def test_the_status_tells_device_link_pipelines_and_health(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        status = wait_status(client, runs("line"))
        assert status.device.id == "dev"
        assert status.device.profile
        assert status.device.memory_mb > 100
        assert not status.link.connected
        assert status.link.problem.code.startswith("link.")
        assert status.health.state in {"ok", "degraded", "failed"}
        assert status.pid == agent.process.pid
        assert status.agent_pss_mb > 1
        (pipeline,) = status.pipelines
        assert pipeline.pid > 0
        assert pipeline.bundles[0].name == "fake-line"
        (stream,) = pipeline.streams
        assert (stream.name, stream.state, stream.codec) == ("cam", "running", "h264")
        assert 5 < stream.fps < 60
        assert stream.latency_p50_ms >= 0
        assert stream.last_result_age_s < 2
    assert agent.end() == 0


def test_health_and_metrics_are_those_that_go_to_the_broker(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        wait_status(client, runs("line"))
        health = client.run(lambda c: c.get_health())
        link = next(check for check in health.checks if check.id == "broker_link")
        assert link.severity != "ok"
        assert link.remedy
        assert abs(link.since_ms / 1000 - time.time()) < 60
        text = client.run(lambda c: c.get_metrics())
        families = {family.name: family for family in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
        counted = families["edgeward_stream_results"].samples
        assert {(one.labels["pipeline"], one.labels["stream"]) for one in counted} == {("line", "cam")}
        assert sum(one.value for one in counted if one.name == "edgeward_stream_results_total") >= 1
    assert agent.end() == 0


def test_a_pipeline_is_stopped_started_and_restarted_and_its_neighbour_never_notices(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok", "other": "ok"}))
    with connected(agents.folder, agent) as client:
        before = by_name(wait_status(client, lambda s: runs("line")(s) and runs("other")(s)))
        stopped = client.run(lambda c: c.stop_pipeline("line", wait_s=10))
        assert (stopped.state, stopped.pid) == ("stopped", 0)
        wait_gone(before["line"].pid)
        # A person's wish is no fault of the device.
        status = wait_status(client, lambda s: "stopped on request" in {one.text for one in s.health.checks})
        about = [one for one in status.health.checks if one.subject.startswith("line")]
        assert "critical" not in {one.severity for one in about}
        assert by_name(status)["line"].streams[0].state == "ended"
        started = client.run(lambda c: c.start_pipeline("line", wait_s=10))
        assert started.state == "running"
        assert started.pid not in {0, before["line"].pid}
        restarted = client.run(lambda c: c.restart_pipeline("line", wait_s=10))
        assert restarted.state == "running"
        assert restarted.pid not in {0, started.pid}
        after = by_name(wait_status(client, runs("other")))
        assert after["other"].pid == before["other"].pid
        assert after["other"].restarts == 0
        # Each change is told, with who asked for it.
        events = [event.text for event in client.each(lambda c: c.get_events(recent=100))]
        asked = [text for text in events if "was asked for by" in text]
        assert [text.partition(" was")[0] for text in asked] == [
            "a pipeline's stop",
            "a pipeline's start",
            "a pipeline's restart",
        ]
        assert all(f"user {os.getuid()}, process {os.getpid()}" in text for text in asked)
    assert agent.end() == 0


def test_a_drained_agent_stays_up_without_pipelines_until_one_is_started(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok", "other": "ok"}))
    with connected(agents.folder, agent) as client:
        wait_status(client, lambda s: runs("line")(s) and runs("other")(s))
        assert sorted(client.run(lambda c: c.drain(wait_s=20)).stopped) == ["line", "other"]
        status = client.run(lambda c: c.get_status())
        assert status.draining
        assert {one.state for one in status.pipelines} == {"stopped"}
        assert client.run(lambda c: c.start_pipeline("other", wait_s=10)).state == "running"
        status = client.run(lambda c: c.get_status())
        assert not status.draining
        assert by_name(status)["line"].state == "stopped"
    assert agent.end() == 0


def test_events_are_followed_from_the_last_ones_on_without_a_gap(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok"}))
    with connected(agents.folder, agent) as client:
        pid = by_name(wait_status(client, runs("line")))["line"].pid
        following = client.each(lambda c: c.get_events(recent=100, follow=True))
        seen = [next(following)]
        os.kill(pid, signal.SIGKILL)
        while seen[-1].kind != "worker.ended":
            seen.append(next(following))
        client.run(lambda c: c.stop_pipeline("line"))
        while seen[-1].kind != "pipeline.stopped":
            seen.append(next(following))
        numbers = [event.seq for event in seen]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        died = next(event for event in seen if event.kind == "worker.ended")
        assert died.subject == "line"
        assert died.code == "worker.died"
        assert "SIGKILL" in died.text
        assert abs(died.time_ms / 1000 - time.time()) < 60
        again = list(client.each(lambda c: c.get_events(recent=3)))
        assert len(again) == 3
    assert agent.end() == 0


def test_detections_are_followed_as_the_json_that_goes_to_the_broker(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok", "other": "ok"}))
    with connected(agents.folder, agent) as client:
        following = client.each(lambda c: c.get_events(follow=True, detections=True, pipeline="other"))
        seen = [event for event in itertools.islice(following, 20) if event.kind == "detections"]
        bodies = [json.loads(event.json) for event in seen]
        assert {body["pipeline"] for body in bodies} == {"other"}
        assert bodies[0]["detections"][0]["label"] == "thing"
        frames = [body["frame"] for body in bodies]
        assert frames == list(range(frames[0], frames[0] + len(frames)))
        with pytest.raises(EdgewardError) as caught:
            list(client.each(lambda c: c.get_events(recent=5, detections=True)))
        assert caught.value.code is Code.USAGE
    assert agent.end() == 0


def test_the_log_is_shown_by_pipeline_and_level_and_followed(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "ok", "other": "ok"}))
    with connected(agents.folder, agent) as client:
        pid = by_name(wait_status(client, lambda s: runs("line")(s) and runs("other")(s)))["line"].pid
        of_line = list(client.each(lambda c: c.get_logs(recent=100, pipeline="line")))
        assert of_line
        # What its worker printed, and what the agent says about it; nothing about its neighbour.
        assert all(line.pipeline == "line" or line.text.startswith("line") for line in of_line)
        assert not any(line.text.startswith("other") for line in of_line)
        assert any("fake worker: ok" in line.text for line in of_line)
        following = client.each(lambda c: c.get_logs(follow=True, level="warning"))
        os.kill(pid, signal.SIGKILL)
        line = next(one for one in following if "killed by SIGKILL" in one.text)
        assert (line.level, line.part) == ("WARNING", "pipeline")
        assert len(list(client.each(lambda c: c.get_logs(recent=2)))) == 2
        with pytest.raises(EdgewardError) as caught:
            list(client.each(lambda c: c.get_logs(level="LOUD")))
        assert (caught.value.code, "WARNING" in caught.value.remedy) == (Code.USAGE, True)
    assert agent.end() == 0


def test_the_configuration_in_force_is_shown_without_secrets(agents: Any) -> None:
    (agents.folder / "secret").write_text("hunter2hunter2\n")
    (agents.folder / "secret").chmod(0o600)
    config = agents.write(NOWHERE, {"line": "ok"}, mqtt='username = "ew"\npassword_file = "secret"')
    agent = agents.start(config)
    with connected(agents.folder, agent) as client:
        shown = client.run(lambda c: c.get_config())
        assert shown.file == str(config)
        assert tomllib.loads(shown.toml)["device"]["id"] == "dev"
        assert json.loads(shown.json)["mqtt"]["keepalive_s"] == 30
        assert "hunter2" not in shown.toml + shown.json
    assert agent.end() == 0


@pytest.mark.parametrize(
    ("call", "code", "part"),
    [
        (lambda c: c.start_pipeline("nobody"), Code.CONTROL_UNKNOWN_PIPELINE, "there is line"),
        (lambda c: c.stop_pipeline("nobody"), Code.CONTROL_UNKNOWN_PIPELINE, "there is line"),
        (lambda c: c.restart_pipeline(""), Code.CONTROL_UNKNOWN_PIPELINE, "there is line"),
        (lambda c: c.start_pipeline("line", wait_s=7200), Code.USAGE, "seconds"),
        (lambda c: c.take_snapshot("line", "bärbel"), Code.CONTROL_UNKNOWN_STREAM, "there is cam"),
        (lambda c: c.take_snapshot("line", max_width=1 << 20), Code.USAGE, "0 for as it is"),
        (lambda c: c.rollback_bundle("line", stage="x"), Code.CONTROL_UNKNOWN_PIPELINE, "there is none"),
        (lambda c: c.rollback_bundle("line"), Code.CONTROL_STATE, "install one"),
    ],
)
def test_what_cannot_be_done_is_refused_with_code_and_remedy(
    one_agent: Blocking, call: Any, code: Code, part: str
) -> None:
    with pytest.raises(EdgewardError) as caught:
        one_agent.run(call)
    assert caught.value.code is code
    assert part in caught.value.remedy


def test_a_stream_that_gives_no_picture_says_so_and_why(agents: Any) -> None:
    agent = agents.start(agents.write(NOWHERE, {"line": "silent-after=0.5", "other": "missing"}))
    with connected(agents.folder, agent) as client:
        wait_status(client, lambda s: by_name(s)["line"].streams[0].state == "stalled")
        with pytest.raises(EdgewardError) as caught:
            client.run(lambda c: c.take_snapshot("line"))
        assert caught.value.code is Code.CONTROL_NO_PICTURE
        assert "the stream is stalled, its last picture is" in caught.value.what
        assert caught.value.where == "line/cam"
        with pytest.raises(EdgewardError) as caught:
            client.run(lambda c: c.take_snapshot("other"))
        assert caught.value.code is Code.CONTROL_STATE
    assert agent.end() == 0
