"""What a worker does not need it cannot do: files, programs, the network. Real engines still run so."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import ipc
from runtime.bundle import landlock
from runtime.rights import Rights
from tests.conftest import ROOT, make_signed
from tests.integration import mischief
from tests.integration.agent_peers import Broker
from tests.integration.chaos import Device
from tests.integration.worker_peer import Worker, start_message

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(landlock.version() < 6, reason="this kernel has no Landlock, or one before version 6"),
]

TOML = """\
[bundle]
name = "yolox-nano"
version = "1.0.0"
release_counter = 1
labels_file = "coco.names"
[[variant]]
id = "only"
engine = "{engine}"
file = "{file}"
input = [{{ name = "images", dtype = "float32", shape = [1, 3, 416, 416] }}]
output = [{{ name = "output", dtype = "float32", shape = [1, 3549, 85] }}]
[preprocess]
fit = "letterbox_topleft"
order = "bgr"
[postprocess]
decoder = "yolox"
"""


@pytest.fixture
def device(
    tmp_path: Path, broker: Broker, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    mischief.install(tmp_path / "site", monkeypatch)
    made = Device(tmp_path, broker, test_data / "videos" / "one-by-one-person-detection.mp4")
    yield made
    made.close()


def attempts(device: Device, deed: str, supervision: str = "", *, release: int = 1) -> dict[str, str]:
    """What a plug-in in a worker tried, and what came of it."""
    victim = device.bundle("victim", f"run:after=25 try {deed}", release=release)
    device.start(victim.bundle, None, supervision=supervision)
    device.log().wait_line("attempt: control", 40)
    found = [re.search(r"attempt: (.+): (\w+)$", line) for line in device.log().lines]
    return {match[1]: match[2] for match in found if match is not None}


@pytest.mark.timeout(100)
def test_a_plug_in_reaches_no_file_no_program_and_no_host_that_it_does_not_need(
    device: Device, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "camera.password").write_text("a secret")
    state = tmp_path / "state"
    scratch = state / "scratch" / "victim"
    paths = [secrets / "camera.password", secrets, state, ROOT / "runtime", scratch]
    found = attempts(device, shlex.join(map(str, paths)))
    assert found == {
        "read": "PermissionError",
        "list": "PermissionError",
        "write 0": "PermissionError",
        "write 1": "PermissionError",
        "write 2": "PermissionError",
        "write 3": "done",
        "run": "CalledProcessError",  # /bin/cat starts, and reads no more than the worker could
        "connect": "PermissionError",
        "listen": "PermissionError",
        "kill": "PermissionError",
        "control": "ConnectionResetError",  # the agent's own socket is not for its workers
    }
    device.result("victim", device.heard.mark())
    # What it left in its scratch folder is gone once the next worker starts.
    assert (scratch / "planted").exists()
    assert device.log().end() == 0
    device.start(device.folder / "victim-1" / "model.ewb", None)
    device.log().wait_line("victim 1.0.0 runs", 40)
    assert not (scratch / "planted").exists()


@pytest.mark.timeout(60)
def test_what_tries_a_bundle_before_it_runs_reaches_no_more_than_what_runs_it(
    device: Device, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "camera.password"
    secret.write_text("a secret")
    scratch = tmp_path / "state" / "scratch" / "victim"
    victim = device.bundle("victim", f"try {secret} {tmp_path / 'state'} {scratch}")
    device.start(victim.bundle, None, preflight=True)
    device.log().wait_line("victim 1.0.0 runs", 40)
    tried = [line.partition("attempt: ")[2] for line in device.log().lines if "preflight: attempt" in line]
    assert {"read: PermissionError", "write 0: PermissionError", "write 1: done"} <= set(tried)
    assert "connect: PermissionError" in tried


@pytest.mark.timeout(100)
def test_further_places_can_be_allowed_and_confinement_be_switched_off(
    device: Device, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "table").write_text("x")
    found = attempts(device, f"{shared / 'table'} {shared}", f'write = ["{shared}"]')
    assert (found["read"], found["write 0"], found["connect"]) == ("done", "done", "PermissionError")
    assert device.log().end() == 0
    other = attempts(device, f"{shared / 'table'} {tmp_path}", "confine = false", release=2)
    assert (other["read"], other["write 0"]) == ("done", "done")
    assert other["connect"] == "ConnectionRefusedError"


@pytest.mark.parametrize(
    ("engine", "file"),
    [
        ("onnxruntime", "yolox_nano.onnx"),
        ("openvino", "yolox_nano.onnx"),
        ("litert", "yolox_nano_float16_quantize.tflite"),
    ],
)
def test_real_engines_run_confined_with_several_threads(
    engine: str, file: str, tmp_path: Path, test_data: Path
) -> None:
    author, scratch, cache = (tmp_path / name for name in ("author", "scratch", "cache"))
    for folder in (author, scratch, cache):
        folder.mkdir(mode=0o700)
    (author / file).write_bytes((test_data / "models" / file).read_bytes())
    (author / "coco.names").write_bytes((test_data / "models" / "coco.names").read_bytes())
    (author / "bundle.toml").write_text(TOML.format(engine=engine, file=file))
    signed = make_signed(tmp_path, author, author / file)
    film = test_data / "videos" / "one-by-one-person-detection.mp4"
    stream = ipc.StreamSpec(name="s", url=str(film), pacing="every", max_frames=8, reconnect=False)
    told = start_message(
        signed,
        tmp_path / "store",
        (stream,),
        engine=ipc.EngineOptions(threads=2, cache_dir=str(cache)),
        rights=rights_of_a_pipeline(tmp_path, film, scratch, cache),
    )
    with Worker(told, environment={"TMPDIR": str(scratch)}) as worker:
        heard = worker.until(lambda message: isinstance(message, ipc.Stopped), 120)
        ready = next(message for message in heard if isinstance(message, ipc.Ready))
        assert (ready.engine, ready.lacks) == (engine, ())
        results = [message for message in heard if isinstance(message, ipc.Result)]
        assert [result.status for result in results] == ["detections"] * 8


def rights_of_a_pipeline(folder: Path, film: Path, scratch: Path, cache: Path) -> Rights:
    """As the agent gives them."""
    from agent.workers.confinement import system_rights  # noqa: PLC0415

    return system_rights(
        read=[str(film.parent), str(folder / "store")], write=[str(scratch), str(cache)], scratch=scratch
    )


def test_threads_that_were_there_before_are_told_of(tmp_path: Path) -> None:
    """Landlock holds for those that come later only."""
    script = (
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "from runtime.confinement import confine\n"
        "from runtime.rights import Rights\n"
        f"print(confine(Rights(confined=True, scratch={str(tmp_path)!r}, read=('/proc',))))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1 threads were there before" in done.stdout


def test_a_worker_listens_on_its_own_port_only(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = (
        "import socket\n"
        "from runtime.confinement import confine\n"
        "from runtime.rights import Rights\n"
        f"confine(Rights(confined=True, scratch={str(tmp_path)!r}, bind=({port},)))\n"
        f"socket.create_server(('127.0.0.1', {port})).close()\n"
        "try:\n"
        f"    socket.create_server(('127.0.0.1', {port} ^ 1))\n"
        "except PermissionError:\n"
        "    print('refused')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("refused", "")
