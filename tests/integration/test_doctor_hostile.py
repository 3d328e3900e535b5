"""The doctor against what does not answer, what is in its way, and what looks like a fault and is none."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from agent.link.messages import Detections
from tests.integration.doctor_authority import Authority
from tests.integration.doctor_means import mount_state, systemctl_says
from tests.integration.doctor_site import Place
from tests.integration.test_doctor import conveyor, place, recording

__all__ = ["Detections", "conveyor", "place", "recording"]
pytestmark = pytest.mark.integration

CONNACK = bytes([0x20, 3, 0, 0, 0])


@contextmanager
def broker_that_says(answer: bytes) -> Iterator[int]:
    """Says ``answer`` to whoever sends something, and nothing after that."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as connections:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    connections.enter_context(connection)
                    if answer and connection.recv(1000):
                        connection.sendall(answer)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize(("answer", "step"), [(b"", "login"), (CONNACK, "publish")])
def test_a_broker_that_falls_silent_is_told_at_its_step_and_is_no_matter_of_the_password(
    place: Place, answer: bytes, step: str
) -> None:
    secret = place.folder / "secret"
    secret.write_text("hunter222")
    secret.chmod(0o600)
    with broker_that_says(answer) as port:
        url = f"mqtt://127.0.0.1:{port}"
        place.config["mqtt"] = {"url": url, "username": "dev", "password_file": "secret"}
        place.write()
        (found,) = [finding for probe, finding in place.visit("--only", "broker").findings()]
    assert found["subject"] == step
    assert found["command"].startswith("sudo editor +5 ")


def test_a_state_folder_whose_disk_hangs_does_not_hold_up_the_doctor(place: Place) -> None:
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("to mount a file system that never answers takes root and FUSE")
    hung = place.folder / "hung"
    hung.mkdir()
    libc = ctypes.CDLL(None)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    place.stack.callback(os.close, device)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(b"fuse", str(hung).encode(), b"fuse", 0, options.encode()):
        pytest.skip("this machine lets nobody mount a file system")
    place.stack.callback(libc.umount2, str(hung).encode(), 2)  # MNT_DETACH
    place.config["device"]["state_dir"] = "hung/state"
    place.write()
    archive = place.folder / "support.tar.gz"
    began = time.monotonic()
    visited = place.visit("--only", "state", "--only", "kernel", "--bundle", str(archive))
    assert time.monotonic() - began < 90
    (found,) = [finding for probe, finding in visited.findings() if probe == "state"]
    assert found["code"] == "system.timeout"
    assert archive.exists()


def test_too_little_room_for_the_doctor_is_no_fault_of_a_bundle(place: Place) -> None:
    mount_state(place, "size=16k")
    place.env["TMPDIR"] = str(place.state)
    place.write()
    visited = place.visit("--only", "bundles")
    assert not visited.findings()
    (skipped,) = [finding for probe, finding in visited.findings("skip") if probe == "bundles"]
    assert "no room" in skipped["text"]
    assert "TMPDIR=" in skipped["command"]


def test_a_read_only_disk_is_made_writable_where_it_is_mounted(place: Place) -> None:
    mount_state(place, "size=1m")
    (place.state / "below").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(place.state)], check=True)
    place.config["device"]["state_dir"] = "state/below"
    place.write()
    commands = {
        finding["command"] for _, finding in place.visit("--only", "device", "--only", "state").findings()
    }
    assert commands == {f"sudo mount -o remount,rw {place.state}"}


@pytest.mark.parametrize(
    ("said", "text", "command"),
    [
        ("LoadState=masked\nActiveState=inactive\n", "masked", "sudo systemctl unmask"),
        ("LoadState=bad-setting\nActiveState=inactive\n", "unit file", "systemd-analyze verify"),
        (
            "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nExecMainStatus=1\n",
            "again and again",
            "journalctl -u edgeward.service",
        ),
    ],
)
def test_a_service_that_cannot_start_is_broken(place: Place, said: str, text: str, command: str) -> None:
    systemctl_says(place, said)
    place.write()
    (found,) = [finding for _, finding in place.visit("--only", "service").findings()]
    assert text in found["text"]
    assert found["command"].startswith(command)


def test_an_old_authority_beside_its_successor_is_no_fault(place: Place) -> None:
    """As health judges it; a file of authorities is how they are exchanged."""
    Authority(place.folder, "new")
    old = Authority(place.folder, "old")
    (place.folder / "old.crt").write_bytes(old._signed(old._subject, old._key, days=-1, host="", ca=True))
    both = (place.folder / "old.crt").read_bytes() + (place.folder / "new.crt").read_bytes()
    (place.folder / "ca.crt").write_bytes(both)
    place.config["mqtt"] = {"url": place.broker.url.replace("mqtt:", "mqtts:"), "ca_file": "ca.crt"}
    place.write()
    found = [finding for _, finding in place.visit("--only", "device").findings()]
    assert not [finding for finding in found if "certificate" in finding["subject"]], found


def test_a_camera_that_is_not_there_is_named_at_its_own_line(place: Place) -> None:
    place.more = '[[pipeline.stream]]\nname = "second"\nurl = "/dev/video77"\n'
    place.write()
    (found,) = [finding for probe, finding in place.visit("--only", "devices").findings()]
    line = 1 + place.file.read_text().splitlines().index('url = "/dev/video77"')
    assert f"+{line} " in found["command"]


def test_a_socket_that_takes_the_question_and_is_silent_is_not_held_for_a_stale_one(
    place: Place,
) -> None:
    place.write()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place.socket))
        silent.listen()
        (found,) = [finding for _, finding in place.visit("--only", "agent").findings()]
    assert found["code"] == "control.timeout"
    assert "nobody listens" not in found["text"]


@pytest.mark.parametrize("arguments", [("--bundle", "fifo", "--force"), ("--root", "nowhere")])
def test_what_cannot_work_is_refused_before_anything_is_looked_at(
    place: Place, arguments: tuple[str, ...]
) -> None:
    place.write()
    os.mkfifo(place.folder / "fifo")
    done = place.command("--only", "kernel", *arguments)
    assert done.returncode == 2
    assert not done.stdout
    assert arguments[1] in done.stderr


def test_a_disk_that_takes_no_archive_does_not_take_the_findings_along(place: Place) -> None:
    mount_state(place, "size=8k")
    place.write()
    target = place.state / "support.tar.gz"
    done = place.command("--only", "kernel", "--json", "--bundle", str(target))
    assert done.returncode == 12
    assert json.loads(done.stdout)["probes"]
    assert not target.exists()
