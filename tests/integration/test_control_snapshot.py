"""A snapshot of a stream that really runs: the very frame in which the model found what is told with it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from bench.footage import encode
from examples.conveyor.render import Scene
from runtime.errors import Code, EdgewardError
from tests.conftest import ROOT, make_signed
from tests.integration.agent_peers import AgentProcess
from tests.integration.control_peer import connected, wait_status

pytestmark = pytest.mark.integration

FPS, FRAMES = 10, 40
"""A film of four seconds, played in a loop as fast as it was taken."""


@pytest.fixture(scope="module", name="film")
def film_of_a_belt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "belt.mp4"
    scene = Scene(9000, 640, 360, fps=FPS)
    encode(path, "libx264", [scene.frame(index)[0] for index in range(FRAMES)], FPS)
    return path


@pytest.fixture(scope="module", name="client")
def client_of_a_real_agent(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blocking]:
    folder = tmp_path_factory.mktemp("agent")
    signed = make_signed(tmp_path_factory.mktemp("belt"), ROOT / "examples" / "conveyor" / "model", film)
    config = folder / "edgeward.toml"
    config.write_text(
        '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:9"\n[trust]\nrelease_keys = ["{signed.key}"]\n'
        f'[preflight]\nenabled = false\n[[pipeline]]\nname = "belt"\nbundle = "{signed.bundle}"\n'
        f'[[pipeline.stream]]\nname = "cam"\nurl = "{film}"\nloop = true\n'
        f'[[pipeline.stream]]\nname = "once"\nurl = "{film}"\n'
    )
    agent = AgentProcess([sys.executable, "-m", "agent.cli.main", "agent", "--config", str(config)])
    try:
        with connected(folder, agent) as client:
            wait_status(client, lambda s: s.pipelines[0].streams[0].fps > 2, seconds=90)
            yield client
    finally:
        assert agent.end() == 0, agent.log


def picture_of(reply: pb.SnapshotReply) -> Any:
    picture = cv2.imdecode(np.frombuffer(reply.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (reply.height, reply.width, 3)
    return picture.astype(np.int16)


def frame_of(film: Path, number: int) -> Any:
    with av.open(str(film)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                return frame.to_ndarray(format="bgr24").astype(np.int16)
    raise AssertionError(number)


def test_it_shows_the_very_frame_that_was_looked_at(client: Blocking, film: Path) -> None:
    reply = client.run(lambda c: c.take_snapshot("belt", "cam"))
    body = json.loads(reply.json)
    shown, taken = picture_of(reply), frame_of(film, round(body["pts_s"] * FPS))
    assert shown.shape == taken.shape
    # JPEG's loss, and nothing more: the next frame of the film is further away than that.
    assert np.abs(shown - taken).mean() < 3
    others = [round(body["pts_s"] * FPS) + step for step in (-3, 3)]
    for other in (number for number in others if 0 <= number < FRAMES):
        assert np.abs(shown - frame_of(film, other)).mean() > np.abs(shown - taken).mean()
    assert (body["pipeline"], body["stream"]) == ("belt", "cam")
    assert reply.time_ms > 1_600_000_000_000


def test_boxes_are_drawn_where_the_result_says_and_nowhere_else(client: Blocking, film: Path) -> None:
    for _ in range(20):
        reply = client.run(lambda c: c.take_snapshot("belt", "cam", annotate=True))
        body = json.loads(reply.json)
        if body["detections"]:
            break
    shown, taken = picture_of(reply), frame_of(film, round(body["pts_s"] * FPS))
    changed = np.abs(shown - taken).max(axis=2) > 60
    near = np.zeros_like(changed)
    for found in body["detections"]:
        left, top, right, bottom = (round(side) for side in found["box"])
        middle = (top + bottom) // 2
        assert changed[max(0, middle - 2) : middle + 2, max(0, left) : left + 2].any()
        near[max(0, top - 8) : bottom + 8, max(0, left - 8) : right + 8] = True
    assert changed.any()
    assert not (changed & ~near).any()


def test_it_is_made_as_narrow_as_asked_and_never_wider_than_it_is(client: Blocking) -> None:
    whole = client.run(lambda c: c.take_snapshot("belt", "cam"))
    small = client.run(lambda c: c.take_snapshot("belt", "cam", max_width=161))
    assert small.width == 161
    assert small.height == pytest.approx(161 * whole.height / whole.width, abs=1)
    picture_of(small)
    assert client.run(lambda c: c.take_snapshot("belt", "cam", max_width=9999)).width == whole.width


def test_many_at_once_are_all_answered_and_the_stream_goes_on(client: Blocking, film: Path) -> None:
    before = client.run(lambda c: c.get_status()).pipelines[0].streams[0].results
    replies: list[pb.SnapshotReply] = []

    def ask() -> None:
        with Blocking(client.path) as one:
            replies.append(one.run(lambda c: c.take_snapshot("belt", "cam")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(replies) == 8
    for reply in replies:
        picture_of(reply)
    status = wait_status(client, lambda s: s.pipelines[0].streams[0].results > before + 20)
    assert status.pipelines[0].restarts == 0


def test_a_stream_that_has_ended_says_so(client: Blocking) -> None:
    wait_status(client, lambda s: s.pipelines[0].streams[1].state == "ended")
    with pytest.raises(EdgewardError) as caught:
        client.run(lambda c: c.take_snapshot("belt", "once"))
    assert caught.value.code is Code.CONTROL_NO_PICTURE
    assert "the stream is ended" in caught.value.what
    with pytest.raises(EdgewardError) as caught:
        client.run(lambda c: c.take_snapshot("belt"))
    assert (caught.value.code, caught.value.remedy) == (Code.CONTROL_UNKNOWN_STREAM, "there is cam, once")
