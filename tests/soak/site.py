"""The soak's site on loopback: a broker, two cameras, and a real agent with three pipelines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from agent.control.client import Blocking, Client
from examples.demo.site import CAMERAS, ROOT
from examples.demo.site import Site as Demo
from tests.cameras import Cameras
from tests.integration.agent_peers import Broker
from tests.soak.heard import Heard

FOOTAGE_S = 20
RATE = 5
FIRST_RESULT_S = 90.0
STOP_S = 30.0
STREAMS = (("steady", "cam-1"), ("steady", "cam-2"), ("killed", "cam-1"), ("changing", "cam-2"))
Answer = TypeVar("Answer")


class SoakError(Exception):
    """The run cannot go on; the text says why and where to look."""


class Site:
    """Everything that runs. A context manager: on leaving, nothing of it runs any more.

    ``steady`` is the pipeline that nobody touches, ``killed`` the one whose worker is killed, ``changing``
    the one that comes, changes and goes with the configuration.
    """

    def __init__(self, work: Path, out: Path, tell: Callable[[str], None]) -> None:
        self._work = work
        self._tell = tell
        self._demo = Demo(work, out.parent / "demo", tell)
        self._bundle, self._key = Path(), Path()
        # Two soaks side by side must not count each other's lines.
        self.log = work / "agent.log"
        self._kept_log = out / "agent.log"
        self.state = work / "state"
        self.scratch = work / "tmp"
        self.config = work / "edgeward.toml"
        self.socket = work / "control.sock"
        self.broker: Broker
        self.cameras: Cameras
        self.heard: Heard
        self.agent: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_agent()
        if self.log.exists():
            shutil.copyfile(self.log, self._kept_log)
        if hasattr(self, "heard"):
            self.heard.close()
        if hasattr(self, "cameras"):
            self.cameras.stop()
        if hasattr(self, "broker"):
            self.broker.stop(signal.SIGKILL)
        self._demo.__exit__()

    def start(self) -> None:
        """Make what is needed and start everything, the agent last.

        Raises:
            SoakError: a stream gives no result.
        """
        (self._work.parent / "demo").mkdir(parents=True, exist_ok=True)
        self._demo.render(FOOTAGE_S)
        self._bundle, self._key = self._demo.make_bundle()
        self._tell("starting the broker, the cameras and the agent")
        folder = self._work / "broker"
        folder.mkdir()
        self.broker = Broker(folder).start()
        self.cameras = Cameras({camera.name: self._demo.footage(camera) for camera in CAMERAS})
        self.cameras.start()
        self.heard = Heard(self.broker.port)
        self.scratch.mkdir()
        self.write_config()
        with self.log.open("wb") as log:
            self.agent = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *_edgeward(), "agent", "--config", str(self.config)],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop the others in order
            )
        for pipeline, stream in STREAMS:
            deadline = time.monotonic() + FIRST_RESULT_S
            while not self.heard.wait_result(pipeline, stream, after_ns=0, seconds=1):
                self.check()
                if time.monotonic() > deadline:
                    raise SoakError(
                        f"no result of {pipeline}/{stream} for {FIRST_RESULT_S:g} s; see {self._kept_log}"
                    )

    def check(self) -> None:
        """Raise ``SoakError`` when the agent has ended by itself."""
        if self.agent is not None and self.agent.poll() is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise SoakError(f"the agent ended with status {self.agent.returncode}: {lines[-1]}")

    def stop_agent(self) -> int | None:
        """Stop it in order, as systemd would; the exit status, None when it had to be killed."""
        if self.agent is None:
            return None
        if self.agent.poll() is None:
            self.agent.terminate()
            try:
                self.agent.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
                return None
        return self.agent.returncode

    def write_config(self, *, changing: bool = True, threshold: float = 0.4, mistake: str = "") -> None:
        """Write the configuration; put in its place by a rename, as an administrator's editor does."""
        text = self._text(changing=changing, threshold=threshold) + mistake
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.config)

    def ask(self, call: Callable[[Client], Coroutine[Any, Any, Answer]]) -> Answer:
        """One call over the control socket; ``EdgewardError`` when it is refused or not answered."""
        with Blocking(self.socket) as agent:
            return agent.run(call)

    def _environment(self) -> dict[str, str]:
        """As installed: with byte code, and with a folder for temporary files whose contents are counted."""
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        cache = Path(tempfile.gettempdir()) / f"edgeward-soak-pycache-{os.getuid()}"
        return environment | {"TMPDIR": str(self.scratch), "PYTHONPYCACHEPREFIX": str(cache)}

    def _text(self, *, changing: bool, threshold: float) -> str:
        lines = [
            _table("device", id="soak", state_dir=str(self.state)),
            _table("mqtt", url=self.broker.url),
            _table("trust", release_keys=[str(self._key)], folder=""),
            _table("health", interval_s=10, metrics_interval_s=1),
            _table("control", socket=str(self.socket)),
            # A worker is killed more often here than a defect would kill one, and must not count as that.
            _table("supervision", window_s=60),
            self._pipeline("steady", "cam-1", "cam-2"),
            self._pipeline("killed", "cam-1"),
        ]
        if changing:
            lines.append(self._pipeline("changing", "cam-2", score_threshold=threshold))
        return "\n".join(lines)

    def _pipeline(self, name: str, *cameras: str, **more: Any) -> str:
        text = _table("[pipeline]", name=name, bundle=str(self._bundle), **more)
        for camera in cameras:
            text += _table("[pipeline.stream]", name=camera, url=self.cameras.url(camera), max_fps=RATE)
        return text


def _table(header: str, **values: Any) -> str:
    """A table of TOML: what JSON writes for texts, numbers and lists is TOML as well."""
    return f"[{header}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _edgeward() -> list[str]:
    return [sys.executable, "-P", "-m", "agent.cli.main"]
