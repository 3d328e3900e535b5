"""The doctor finds what is wrong and says how to mend it; of a device that is well it says that."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from agent.link.messages import Detections
from examples.rtsp.access_units import encode_access_units
from tests.cameras import Cameras
from tests.conftest import ROOT, Signed, make_signed
from tests.integration.agent_peers import Broker, Subscriber
from tests.integration.doctor_faults import FAULTS, Fault, second_agent
from tests.integration.doctor_site import COMMAND, Place

pytestmark = [pytest.mark.integration, pytest.mark.command]

FPS = 10


def pictures() -> Iterator[npt.NDArray[np.uint8]]:
    for index in range(FPS):
        picture = np.full((240, 320, 3), 90, np.uint8)
        picture[80:160, index * 8 : index * 8 + 80] = (200, 120, 40)
        yield picture


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "cam.aus"
    encode_access_units(pictures(), path, codec="h264", fps=Fraction(FPS), gop=FPS)
    return path


@pytest.fixture(scope="module")
def conveyor(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("conveyor")
    author = ROOT / "examples" / "conveyor" / "model"
    return make_signed(folder, author, author / "model.onnx")


@pytest.fixture
def place(
    conveyor: Signed, recording: Path, broker: Broker, make_broker: Callable[..., Broker], tmp_path: Path
) -> Iterator[Place]:
    with ExitStack() as stack:
        cameras = stack.enter_context(Cameras({"cam": recording}))
        folder = tmp_path / "site"
        folder.mkdir(mode=0o755)
        yield Place(folder, conveyor, broker, cameras, make_broker, stack)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_the_command_that_mends_it_is_told(place: Place, fault: Fault) -> None:
    place.write()
    fault.plant(place)
    if place.file.stat().st_mode & 0o777 != 0o666:
        place.write()
    visited = place.visit("--only", fault.probe)
    found = [finding for probe, finding in visited.findings(fault.result) if probe == fault.probe]
    assert found, visited.text
    told = [finding for finding in found if fault.says in f"{finding['text']} {finding.get('code', '')}"]
    assert told, found
    wanted = fault.command.format(folder=place.folder)
    assert any(wanted in finding["command"] for finding in told), told
    assert all(finding.get("remedy") for finding in told)
    assert visited.status == (19 if fault.result == "fail" or visited.findings("fail") else 0)
    assert visited.document["well"] == (visited.status == 0)


def test_at_least_twenty_five_faults_are_planted() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 25


def test_of_a_device_without_an_agent_that_is_well_it_says_so(place: Place) -> None:
    place.write()
    visited = place.visit()
    assert visited.status == 0, visited.findings()
    assert visited.document["well"]
    assert {probe for probe, _ in visited.findings("warn")} <= {"agent", "state"}, visited.findings("warn")
    well = {probe for probe, _ in visited.findings("ok")}
    assert well >= {
        "bundles",
        "models",
        "streams",
        "broker",
        "decoders",
        "engines",
        "native",
        "device",
        "trust",
    }


def test_of_a_device_that_works_it_says_that_all_is_well_and_opens_no_camera_twice(
    place: Place, subscribe: Callable[..., Subscriber]
) -> None:
    place.write()
    heard = subscribe(place.broker.port)
    place.start_agent().wait_line("belt/cam runs", 60)
    heard.wait(Detections, lambda body: body.status == "detections", 30)
    done = place.command()
    assert done.returncode == 0, done.stdout
    assert "all is well" in done.stdout, done.stdout
    assert "streams: belt/cam: the agent reads it" in done.stdout
    assert "models: belt: runs:" in done.stdout
    sessions = {body.session for body in _detections(heard)}
    assert sessions == {0}, "the agent's own connection to the camera was disturbed"


def test_what_cannot_work_after_a_fault_is_skipped_and_says_why(place: Place) -> None:
    place.write()
    place.key.unlink()
    visited = place.visit("--only", "models")
    (skipped,) = [finding for probe, finding in visited.findings("skip") if probe == "models"]
    assert "needs bundles" in skipped["text"]
    assert visited.status == 19


def test_a_configuration_that_makes_no_sense_leaves_the_rest_to_be_looked_at(place: Place) -> None:
    place.file.write_text("[device\n")
    visited = place.visit()
    assert visited.status == 19
    assert {"decoders", "native", "engines"} <= {probe for probe, _ in visited.findings("ok")}
    assert "broker" in {probe for probe, _ in visited.findings("skip")}


def test_every_mistake_of_a_configuration_is_told_at_once(place: Place) -> None:
    place.more = "[heatlh]\ninterval_s = 3\n[bundels]\n"
    place.write()
    told = [finding["text"] for probe, finding in place.visit("--only", "configuration").findings()]
    assert any("heatlh" in text for text in told)
    assert any("bundels" in text for text in told)


def test_the_command_opens_the_configuration_at_the_line_of_the_mistake(place: Place) -> None:
    place.more = (
        '[[pipeline]]\nname = "two"\nbundle = "belt.ewb"\n[[pipeline.stream]]\nname = "c"\nurl = "none.mp4"\n'
    )
    place.write()
    (found,) = [finding for _, finding in place.visit("--only", "streams").findings()]
    assert found["subject"] == "two/c"
    place.stream["url"] = "rtsp://127.0.0.1:1/x?password=geheim"
    place.more = place.more.replace("none.mp4", "ftp://host/x")
    place.write()
    (found,) = [finding for _, finding in place.visit("--only", "configuration").findings()]
    line = int(re.search(r"\+(\d+)", found["command"])[1])  # type: ignore[index]
    assert place.file.read_text().splitlines()[line - 1].startswith('url = "ftp://')


def test_a_probe_that_there_is_not_is_named_with_those_that_there_are(place: Place) -> None:
    place.write()
    done = place.command("--only", "brokr")
    assert done.returncode == 2
    assert "brokr" in done.stderr
    assert "broker" in done.stderr


def test_a_camera_that_never_answers_does_not_hold_up_the_doctor(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place.stream |= {"url": f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", "open_timeout_s": 1.0}
        place.write()
        began = time.monotonic()
        visited = place.visit("--only", "streams")
        assert time.monotonic() - began < 30
    (found,) = [finding for probe, finding in visited.findings() if probe == "streams"]
    assert found["code"] == "source.timeout"


def test_cameras_and_models_are_left_alone_where_an_agent_runs_that_cannot_be_asked(place: Place) -> None:
    second_agent(place)
    place.write()
    skipped = dict(place.visit("--only", "streams", "--only", "models").findings("skip"))
    for probe in ("streams", "models"):
        assert f"process {os.getpid()}" in skipped[probe]["text"]


def test_ctrl_c_ends_the_doctor_and_all_that_it_started(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place.stream |= {"url": f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x", "open_timeout_s": 60.0}
        place.write()
        command = [*COMMAND, "doctor", "--config", str(place.file), "--only", "streams"]
        doctor = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            family = psutil.Process(doctor.pid).children(recursive=True)
            doctor.send_signal(signal.SIGINT)
            _, errors = doctor.communicate(timeout=20)
    assert doctor.returncode == 130
    assert "Traceback" not in errors
    assert family
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive


def _detections(heard: Subscriber) -> list[Detections]:
    from agent.link.messages import decode  # noqa: PLC0415 - here only

    bodies = [decode(message.payload)[1] for message in heard.messages if "/event/" in message.topic]
    return [body for body in bodies if isinstance(body, Detections)]
