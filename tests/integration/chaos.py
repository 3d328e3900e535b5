"""A device on which one pipeline does mischief beside a good one, and what it costs whom, in figures.

All of it is real: the agent as it is installed, real workers, a broker, a film in real time. The mischief is
done by an engine of another package (``mischief``), or from outside by a signal.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agent.link import messages
from agent.link.messages import Detections, Metrics
from tests.conftest import ROOT, Signed
from tests.integration import mischief
from tests.integration.agent_peers import AgentProcess, Broker, Subscriber

FPS = 10  # of the film
BEGINS = "mischief begins"
CALM_S = 2
# Seconds over which the good pipeline is watched before and after.
WATCH_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row of the table.

    Attributes:
        name: what is done.
        deed: what the victim's engine does after a while, or at once when it ``loads``.
        number: the signal that its worker gets instead.
        says: what the log says once it is noticed.
        pipeline: more lines for its section.
        stream: more lines for that of its stream.
        limits: of ``agent.workers.limits``, where it is not to take as long as on a device.
        patience_s: seconds that noticing may take.
    """

    name: str
    deed: str = ""
    number: int = 0
    says: str = ""
    pipeline: str = ""
    stream: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    loads: bool = False
    patience_s: float = 15.0


CASES = (
    Case(name="SIGKILL", number=signal.SIGKILL, says="killed by SIGKILL [worker.died]"),
    Case(name="SIGSEGV", number=signal.SIGSEGV, says="killed by SIGSEGV [worker.died]"),
    Case(
        name="SIGSTOP",
        number=signal.SIGSTOP,
        says="no sign of life for 2 s [worker.hung]",
        pipeline="worker_timeout_s = 2",
    ),
    Case(name="abort in native code", deed="native abort", says="killed by SIGABRT [worker.died]"),
    Case(
        name="eats memory", deed="eat", says="its limit is 400 MB [worker.memory]", pipeline="memory_mb = 400"
    ),
    Case(
        name="spins", deed="burn", says="gives no results [worker.hung]", patience_s=60
    ),  # a stream is given up after 30 s
    Case(name="garbage on the socket", deed="garbage", says="sent garbage"),
    Case(name="closes the socket", deed="close", says="the worker ended:"),
    Case(name="floods the socket", deed="flood socket", says="floods the agent"),
    Case(
        name="hangs at start-up",
        deed="sleep",
        says="did not load its bundle for 2 s [worker.hung]",
        pipeline="load_timeout_s = 2",
        loads=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one case came to; ``None`` where nothing was to be seen. Seconds, MB, frames a second."""

    noticed_s: float | None
    recovered_s: float | None
    load_s: float
    fps_before: float
    fps_during: float
    agent_before_mb: float
    agent_after_mb: float


class Device:
    """An agent with the pipelines ``victim`` and ``other``, and who listens to it."""

    def __init__(self, folder: Path, broker: Broker, film: Path) -> None:
        self.folder = folder
        self.heard = Subscriber(broker.port)
        self._broker = broker
        self._film = film
        self._keys: list[Path] = []
        self.agent: AgentProcess | None = None

    def bundle(self, name: str, deed: str, *, release: int = 1, label: str = "") -> Signed:
        """A signed bundle whose engine does ``deed``."""
        folder = self.folder / (label or f"{name}-{release}")
        signed = mischief.bundle(folder, {"only": deed}, name=name, release=release)
        self._keys.append(signed.key)
        return signed

    def start(
        self,
        victim: Path,
        other: Path | None,
        *,
        pipeline: str = "",
        stream: str = "",
        supervision: str = "",
        preflight: bool = False,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        """Start the agent with these bundles; as it is installed, unless ``limits`` are other ones."""
        keys = ", ".join(f'"{key}"' for key in self._keys)
        text = (
            '[device]\nid = "dev"\nstate_dir = "state"\n[control]\nsocket = "control.sock"\n'
            f'[mqtt]\nurl = "{self._broker.url}"\n[trust]\nrelease_keys = [{keys}]\n'
            f"[health]\nmetrics_interval_s = 1\n[preflight]\nenabled = {str(preflight).lower()}\n"
            f"[supervision]\ncalm_after_s = {CALM_S}\n{supervision}\n"
        )
        for name, bundle, more, camera in (("victim", victim, pipeline, stream), ("other", other, "", "")):
            if bundle is not None:
                text += (
                    f'[[pipeline]]\nname = "{name}"\nbundle = "{bundle}"\nmax_batch = 1\n{more}\n'
                    f'[[pipeline.stream]]\nname = "cam"\nurl = "{self._film}"\nloop = true\n{camera}\n'
                )
        (self.folder / "edgeward.toml").write_text(text)
        config = str(self.folder / "edgeward.toml")
        command = [sys.executable, "-P", "-m", "agent.cli.main", "agent", "--config", config]
        if limits:
            settings = json.dumps({**limits, "real_ingest": 1, "real_worker": 1})
            command = [
                sys.executable,
                "-P",
                "-m",
                "tests.integration.agent_with_fake_worker",
                config,
                settings,
            ]
        paths = {"PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"}
        self.agent = AgentProcess(command, paths)

    def log(self) -> AgentProcess:
        """The agent's process."""
        assert self.agent is not None
        return self.agent

    def metrics(self, fits: Callable[[Metrics], bool], seconds: float = 30, after: int = 0) -> Metrics:
        """The first metrics that fit."""
        found = self.heard.wait(Metrics, fits, seconds, after=after)
        assert isinstance(found, Metrics)
        return found

    def running(self, *names: str) -> Metrics:
        """Wait until these pipelines give results."""
        return self.metrics(
            lambda body: all(body.pipelines[name].streams["cam"].fps > FPS / 2 for name in names)
        )

    def result(self, pipeline: str, after: int, seconds: float = 30) -> float:
        """When the first result of a pipeline came, of those that came after so many messages."""
        topic = f"/{pipeline}/"
        message = self.heard.wait_raw(lambda m: topic in m.topic and "event" in m.topic, seconds, after=after)
        return float(message.timestamp)

    def fps(self, pipeline: str, began: float, ended: float) -> float:
        """Results a second that arrived between two times."""
        topic = f"/{pipeline}/"
        came = [
            message
            for message in list(self.heard.messages)
            if topic in message.topic and "event" in message.topic and began <= message.timestamp < ended
        ]
        return len(came) / (ended - began)

    def agent_mb(self) -> float:
        """The agent's proportional set size."""
        return float(psutil.Process(self.log().process.pid).memory_full_info().pss / 1e6)

    def close(self) -> None:
        """End it."""
        if self.agent is not None:
            self.agent.end(signal.SIGKILL)
        self.heard.close()


def is_detections(payload: bytes) -> bool:
    """Whether a message is a result."""
    return isinstance(messages.decode(payload)[1], Detections)


def runs(watch_s: float) -> int:
    """Inferences before the mischief, in each life of a worker; some go into its warm-up."""
    return round(watch_s * FPS) + 30


def measure(device: Device, case: Case, *, watch_s: float = WATCH_S) -> Figures:
    """Start the device, let ``case`` happen, and see what it costs."""
    deed = case.deed if case.loads else f"run:after={runs(watch_s)} {case.deed}" if case.deed else "run:"
    victim, other = device.bundle("victim", deed), device.bundle("other", "run:")
    # The mischief repeats in each life of the worker: quarantine is another row.
    device.start(
        victim.bundle,
        other.bundle,
        pipeline=case.pipeline,
        stream=case.stream,
        supervision="bad_ends = 100",
        limits=case.limits,
    )
    log = device.log()
    if case.loads:
        log.wait_line("victim: bundle victim 1.0.0 is verified")
        began, mark, lines, load_s = time.monotonic(), device.heard.mark(), 0, 0.0
        before_mb = device.agent_mb()
    else:
        first = device.running("victim", "other")
        line = next(line for line in log.lines if "victim" in line and "loaded in" in line)
        load_s = float(line.split("loaded in ")[1].split(" ms")[0]) / 1e3
        if case.number:
            time.sleep(watch_s)  # the good pipeline undisturbed, for as long as it is measured disturbed
        else:
            log.wait_line(BEGINS, 60)
        began, mark, lines = time.monotonic(), device.heard.mark(), len(log.lines) - 1
        before_mb = device.agent_mb()
        if case.number:
            os.kill(first.pipelines["victim"].pid or 0, case.number)
    log.wait_line(case.says, case.patience_s, after=lines)
    noticed = time.monotonic()
    recovered = None if case.loads else device.result("victim", mark, 30)
    if recovered is not None and recovered < noticed:
        recovered = device.result("victim", device.heard.mark(), 30)
    noticed_s = noticed - began
    if case.loads:  # the good one is never quite undisturbed: it must keep its rate throughout
        device.running("other")
        began = time.monotonic() + watch_s
    time.sleep(max(0.0, began + watch_s - time.monotonic()))
    ended = max(time.monotonic(), began + watch_s)
    return Figures(
        noticed_s=noticed_s,
        recovered_s=None if recovered is None else recovered - began,
        load_s=load_s,
        fps_before=device.fps("other", began - watch_s, began),
        fps_during=device.fps("other", began, ended),
        agent_before_mb=before_mb,
        agent_after_mb=device.agent_mb(),
    )
