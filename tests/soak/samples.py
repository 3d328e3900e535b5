"""What is measured every ten seconds: memory, descriptors, threads, the log and the state folder."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.soak.growth import Bound

EVERY_S = 10.0
MB = float(1 << 20)

# A worker that is killed starts anew, so what a worker leaks shows only in the one that is left alone.
BOUNDS = (
    Bound(figure="agent memory (PSS)", unit="MB", once=2.0, per_hour=0.25),
    Bound(figure="agent descriptors", unit="", once=4.0),
    Bound(figure="agent threads", unit="", once=3.0),
    Bound(figure="agent children", unit="", once=1.5, most=12.0),
    Bound(figure="agent zombies", unit="", once=0.5, most=2.0),
    Bound(figure="steady worker memory (PSS)", unit="MB", once=6.0, per_hour=1.0),
    Bound(figure="steady worker descriptors", unit="", once=4.0),
    Bound(figure="steady worker threads", unit="", once=3.0),
    Bound(figure="killed worker memory (PSS)", unit="MB", once=12.0, per_hour=1.0),
    Bound(figure="log", unit="MB", once=0.1, per_hour=4.0),
    Bound(figure="state folder without cores", unit="MB", once=0.5, per_hour=0.5),
    # The agent keeps a number of core dumps; while one is taken over there may be one more.
    Bound(figure="core dumps", unit="", once=2.0, most=4.0),
    Bound(figure="scratch of the machine (/tmp)", unit="files", once=5.0),
)


class Sampler:
    """A thread that samples until it is stopped; ``points`` is read after that.

    Args:
        agent: process id of the agent.
        workers: says the process id of the worker of a pipeline, None while there is none.
        log: the file that the agent logs to.
        state: its state folder.
    """

    def __init__(
        self, agent: int, workers: Callable[[str], int | None], log: Path, state: Path, scratch: Path
    ) -> None:
        self.points: dict[str, list[tuple[float, float]]] = {bound.figure: [] for bound in BOUNDS}
        self._agent = psutil.Process(agent)
        self._workers = workers
        self._log = log
        self._state = state
        self._scratch = scratch
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """No more samples; returns once the thread has ended."""
        self._stop.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """Since the sampler was made."""
        return time.monotonic() - self._began

    def latest(self, figure: str) -> float | None:
        """The last value of a figure."""
        points = self.points[figure]
        return points[-1][1] if points else None

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            self._sample()
            due += EVERY_S
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _sample(self) -> None:
        with contextlib.suppress(psutil.Error, OSError):
            self._note_process("agent", self._agent)
            children = self._agent.children()
            self._note("agent children", len(children))
            self._note("agent zombies", sum(_is_zombie(child) for child in children))
        for name in ("steady", "killed"):
            pid = self._workers(name)
            # One that is being killed at this moment gives no sample.
            with contextlib.suppress(psutil.Error, OSError):
                if pid is not None:
                    self._note_process(f"{name} worker", psutil.Process(pid))
        self._note("log", _size(self._log) / MB)
        cores = self._state / "cores"
        files = [path for path in self._state.rglob("*") if cores not in path.parents]
        self._note("state folder without cores", sum(_size(path) for path in files) / MB)
        self._note("core dumps", sum(1 for path in cores.glob("*") if path.is_file()))
        self._note("scratch of the machine (/tmp)", sum(1 for _ in self._scratch.rglob("*")))

    def _note_process(self, name: str, process: psutil.Process) -> None:
        with process.oneshot():
            pss = _pss_mb(process.pid)
            descriptors, threads = process.num_fds(), process.num_threads()
        # All or none, so that a process that ended meanwhile leaves no half of a sample.
        self._note(f"{name} memory (PSS)", pss)
        self._note(f"{name} descriptors", descriptors)
        self._note(f"{name} threads", threads)

    def _note(self, figure: str, value: float) -> None:
        if figure in self.points:
            self.points[figure].append((self.seconds, float(value)))


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _pss_mb(pid: int) -> float:
    """Proportional set size, MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    kilobytes = next((line.split()[1] for line in lines if line.startswith("Pss:")), None)
    if kilobytes is None:  # a zombie has no memory
        raise psutil.NoSuchProcess(pid)
    return int(kilobytes) / 1024


def _size(path: Path) -> int:
    """Bytes on the disk; 0 for what is gone meanwhile."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_blocks * 512
