"""What the agent itself costs a board: memory, CPU and the time until it is ready, beside a bare MQTT client.

The agent runs as it is installed: byte code is there, systemd's socket hears when it is ready, and it is
connected to a real broker. Its one pipeline is idle but alive: a worker with a loaded model reads a film of
one frame in ten seconds. Only the agent's process is counted, not the worker.

What it is held against is the least that any Python program with a link to a broker costs: asyncio and paho.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from bench.models import ROOT

MODEL = ROOT / "examples" / "conveyor" / "model"
# How long a film of one frame in ten seconds must be to outlast the measurement.
FRAMES = 120
FLOOR = """\
import asyncio, sys
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

async def main():
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    await asyncio.Event().wait()

asyncio.run(main())
"""
CONFIG = """\
[device]
id = "bench"
state_dir = "state"

[control]
socket = "control.sock"

[mqtt]
url = "mqtt://127.0.0.1:{port}"

[trust]
release_keys = ["release.pub"]

[[pipeline]]
name = "idle"
bundle = "idle.ewb"

[[pipeline.stream]]
name = "still"
url = "still.mp4"
stall_after_s = 3600
read_timeout_s = 3600
"""


@dataclass(frozen=True)
class Cost:
    """Memory in MB (proportional, and its own alone), CPU in percent of a core, seconds until ready."""

    pss_mb: float
    own_mb: float
    cpu_pct: float
    ready_s: float
    threads: int


@dataclass(frozen=True)
class Outcome:
    """The agent, and the bare client beside it; CPU over ``seconds``."""

    agent: Cost
    floor: Cost
    seconds: float


def run(work: Path, seconds: float, starts: int) -> Outcome:
    """Measure both side by side for ``seconds``, after ``starts`` starts of each in turns."""
    environment = _as_installed(work / "bytecode")
    _prepare(work)
    with _broker(work) as port:
        (work / "edgeward.toml").write_text(CONFIG.format(port=port))
        agent_s: list[float] = []
        floor_s: list[float] = []
        # One more than counts: the first of each writes the byte code.
        for number in range(starts + 1):
            for program, took in ((_agent, agent_s), (_floor, floor_s)):
                with program(work, port, environment) as (_, ready_s):
                    if number:
                        took.append(ready_s)
        with _agent(work, port, environment) as (agent, _), _floor(work, port, environment) as (floor, _):
            _wait_for_worker(agent)
            time.sleep(5)  # the model is loaded and its first frame is through
            before = _cpu_s(agent), _cpu_s(floor)
            began = time.monotonic()
            time.sleep(seconds)
            past = time.monotonic() - began
            used = _cpu_s(agent) - before[0], _cpu_s(floor) - before[1]
            return Outcome(
                _cost(agent, used[0] / past, agent_s), _cost(floor, used[1] / past, floor_s), seconds
            )


def _cost(pid: int, share: float, ready_s: list[float]) -> Cost:
    memory = _memory_mb(pid)
    return Cost(
        pss_mb=memory["Pss"],
        own_mb=memory["Private_Clean"] + memory["Private_Dirty"],
        cpu_pct=share * 100,
        ready_s=statistics.median(ready_s),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
    )


def _as_installed(byte_code: Path) -> dict[str, str]:
    """With byte code, which script/install-service compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(byte_code), "PYTHONPATH": str(ROOT)}


def _prepare(work: Path) -> None:
    """A signed bundle, its key, and the film of a camera at rest."""
    for arguments in (
        ["keys", "generate", "--out", str(work / "release")],
        ["bundle", "pack", str(MODEL), "--out", str(work / "idle.ewb")],
        ["bundle", "sign", str(work / "idle.ewb"), "--key", str(work / "release.key")],
    ):
        command = [sys.executable, "-P", "-m", "agent.cli.main", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    with av.open(str(work / "still.mp4"), "w") as container:
        track = container.add_stream("libx264", rate=Fraction(1, 10))
        track.width, track.height, track.pix_fmt = 640, 360, "yuv420p"
        picture = np.full((360, 640, 3), 90, np.uint8)
        for _ in range(FRAMES):
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(track.encode(None))


@contextlib.contextmanager
def _broker(work: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = work / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    log = subprocess.DEVNULL
    broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield port
    finally:
        broker.terminate()
        broker.wait()


@contextlib.contextmanager
def _agent(work: Path, _port: int, environment: dict[str, str]) -> Iterator[tuple[int, float]]:
    """The agent, and the seconds from its start to READY=1."""
    path = work / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard, (work / "agent.log").open("wb") as log:
        heard.bind(str(path))
        heard.settimeout(30)
        command = [sys.executable, "-P", "-m", "agent.cli.main", "agent", "--config", "edgeward.toml"]
        began = time.monotonic()
        agent = subprocess.Popen(
            command,
            cwd=work,
            env=environment | {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000000"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            try:
                while not heard.recv(4096).startswith(b"READY=1"):
                    pass
            except TimeoutError:
                raise SystemExit(
                    f"the agent does not get ready:\n{(work / 'agent.log').read_text()}"
                ) from None
            ready_s = time.monotonic() - began
            heard.close()  # as a busy systemd: what nobody reads must not hold it up
            yield agent.pid, ready_s
        finally:
            agent.terminate()
            agent.wait()


@contextlib.contextmanager
def _floor(_work: Path, port: int, environment: dict[str, str]) -> Iterator[tuple[int, float]]:
    began = time.monotonic()
    floor = subprocess.Popen(
        [sys.executable, "-c", FLOOR, str(port)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert floor.stdout is not None
    try:
        assert floor.stdout.readline() == "ready\n"
        yield floor.pid, time.monotonic() - began
    finally:
        floor.kill()
        floor.wait()
        floor.stdout.close()


def _wait_for_worker(agent: int) -> None:
    """Until the pipeline's worker runs its model: it has read the film's first frame."""
    deadline = time.monotonic() + 60
    log = Path(f"/proc/{agent}/fd/2").resolve()
    while time.monotonic() < deadline:
        if "first result after" in log.read_text():
            return
        time.sleep(0.1)
    raise SystemExit(f"the idle pipeline gives no result:\n{log.read_text()}")


def _memory_mb(pid: int) -> dict[str, float]:
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        found[name] = int(value.split()[0]) / 1024
    return found


def _cpu_s(pid: int) -> float:
    """CPU time of all its threads, as the scheduler counts it: finer than the clock ticks of stat."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9
