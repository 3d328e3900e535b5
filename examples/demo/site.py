"""The demo's site: everything that a real one has, on loopback, each part a process of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FPS = 15
DEVICE = "demo-box"
PIPELINE = "belt"


@dataclass(frozen=True)
class Camera:
    """One rendered camera: its name, the codec that it speaks, the seed of its belt."""

    name: str
    codec: str
    seed: int


CAMERAS = (Camera("cam-1", "h264", 9001), Camera("cam-2", "h265", 9006))


class DemoError(Exception):
    """The demo cannot go on; the text says why and where to look."""


class Site:
    """Starts and stops the processes. A context manager: on leaving, nothing of it runs any more.

    Args:
        work: scratch folder for keys, bundle, state and configuration.
        out: folder that stays: footage, log.
        tell: told in a line what is being done.
    """

    def __init__(self, work: Path, out: Path, tell: Callable[[str], None]) -> None:
        self._work = work
        self._out = out
        self._tell = tell
        self._stack = contextlib.ExitStack()
        self.broker_port = 0
        self.rtsp_port = 0
        self.agent: subprocess.Popen[bytes] | None = None
        self.log = out / "agent.log"

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def footage(self, camera: Camera) -> Path:
        """Where the recording of a camera lies; its truth lies beside it as ``.json``."""
        return self._out / f"{camera.name}.{camera.codec}.aus"

    def render(self, seconds: int) -> None:
        """Render and encode the cameras' footage, unless the same is there already."""
        wanted = {"seconds": seconds, "program": _age_of_renderer()}
        note = self._out / "footage.json"
        if note.exists() and note.read_text() == json.dumps(wanted):
            return
        note.unlink(missing_ok=True)
        self._tell(f"rendering {seconds} s of conveyor belt for {len(CAMERAS)} cameras")
        jobs = []
        for camera in CAMERAS:
            path = self.footage(camera)
            options = ["--seed", str(camera.seed), "--codec", camera.codec, "--seconds", str(seconds)]
            truth = ["--truth", str(path.with_suffix(".json"))]
            jobs.append(
                self._start(
                    [sys.executable, "-P", "-m", "examples.conveyor.footage", str(path), *options, *truth]
                )
            )
        for job in jobs:
            if job.wait() != 0:
                raise DemoError("the footage could not be rendered; the lines above say why")
        note.write_text(json.dumps(wanted))

    def make_bundle(self) -> tuple[Path, Path]:
        """Make keys, pack and sign the conveyor model; returns the bundle and the public key."""
        self._tell("making keys, packing and signing the conveyor model")
        key, bundle = self._work / "release", self._work / "conveyor.ewb"
        source = ROOT / "examples" / "conveyor" / "model"
        for command in (
            ["keys", "generate", "--out", str(key)],
            ["bundle", "pack", str(source), "--out", str(bundle)],
            ["bundle", "sign", str(bundle), "--key", f"{key}.key"],
            ["bundle", "verify", str(bundle), "--key", f"{key}.pub"],
        ):
            done = subprocess.run(
                [*_edgeward(), *command], cwd=ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise DemoError(f"edgeward {' '.join(command[:2])}: {done.stderr.strip()}")
        return bundle, Path(f"{key}.pub")

    def start_broker(self) -> None:
        """Start mosquitto on a free loopback port."""
        self._tell("starting the broker")
        for _ in range(5):
            self.broker_port = _free_port()
            config = self._work / "mosquitto.conf"
            config.write_text(
                f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            )
            broker = self._start(["mosquitto", "-c", str(config)], log=self._out / "broker.log")
            while broker.poll() is None:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", self.broker_port), 1),
                ):
                    return
                time.sleep(0.02)
        raise DemoError(f"mosquitto does not start; see {self._out / 'broker.log'}")

    def start_cameras(self) -> None:
        """Start the RTSP server with all cameras on a free loopback port."""
        self._tell("starting the cameras")
        command = ["/usr/bin/python3", str(ROOT / "examples" / "rtsp" / "server.py"), "--port", "0"]
        for camera in CAMERAS:
            command += ["--mount", f"{camera.name}={self.footage(camera)}"]
        server = self._start(command, capture=True)
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise DemoError("the RTSP server does not start; the lines above say why")
        self.rtsp_port = json.loads(line)["port"]

    def start_agent(self, bundle: Path, key: Path) -> None:
        """Write a configuration as a site has it and start ``edgeward agent`` with it."""
        self._tell("starting the agent")
        lines = [
            f"[device]\nid = {json.dumps(DEVICE)}\nstate_dir = {json.dumps(str(self._work / 'state'))}",
            f'[mqtt]\nurl = "mqtt://127.0.0.1:{self.broker_port}"',
            f"[trust]\nrelease_keys = [{json.dumps(str(key))}]",
            "[health]\nmetrics_interval_s = 1",
            '[control]\nsocket = "control.sock"',
            f"[[pipeline]]\nname = {json.dumps(PIPELINE)}\nbundle = {json.dumps(str(bundle))}",
        ]
        for camera in CAMERAS:
            url = f"rtsp://127.0.0.1:{self.rtsp_port}/{camera.name}"
            lines.append(f"[[pipeline.stream]]\nname = {json.dumps(camera.name)}\nurl = {json.dumps(url)}")
        config = self._work / "edgeward.toml"
        config.write_text("\n\n".join(lines) + "\n")
        self.agent = self._start([*_edgeward(), "agent", "--config", str(config)], log=self.log)

    def check(self) -> None:
        """Raise ``DemoError`` when the agent has ended by itself."""
        if self.agent is not None and self.agent.poll() is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise DemoError(f"the agent ended with status {self.agent.returncode}: {lines[-1]}")

    def stop_agent(self) -> None:
        """Stop the agent in order, as systemd would."""
        if self.agent is not None:
            _stop(self.agent)

    def _start(
        self, command: Sequence[str], *, log: Path | None = None, capture: bool = False
    ) -> subprocess.Popen[bytes]:
        """A process that ends with this one, even when this one is killed."""
        bound = ["setpriv", "--pdeathsig", "TERM", "--", *command]
        output = self._stack.enter_context(log.open("wb")) if log else None
        process = subprocess.Popen(
            bound,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else output,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the others in order
        )
        self._stack.callback(_stop, process)
        return process


def _edgeward() -> list[str]:
    return [sys.executable, "-P", "-m", "agent.cli.main"]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(12)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _age_of_renderer() -> list[list[object]]:
    """Names and times of the programs that make the footage: rendered anew when one has changed."""
    files = sorted((ROOT / "examples").glob("*/*.py"))
    return [[file.name, file.stat().st_mtime] for file in files if file.parent.name in {"conveyor", "rtsp"}]
