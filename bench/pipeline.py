"""The whole pipeline in its worker process against its peers and against decode and inference alone."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.workers.process import WorkerProcess
from bench.measure import Ratio, Rounds, interleave
from bench.models import ROOT, Model
from runtime import ipc
from runtime.errors import Code, EdgewardError

PEERS = {
    "opencv_script": "bench.peers.opencv_script",
    "openvino": "bench.peers.openvino_graph",
    "ffmpeg_pipe": "bench.peers.ffmpeg_pipe",
    "gstreamer": "bench.peers.gstreamer_appsink",
}
FLOOR = "bench.peers.floor"
# Others scale in another way, so what is near the threshold differs; who looks at nothing differs by more.
SAME_DETECTIONS = 0.25


@dataclass(frozen=True)
class Share:
    """CPU of the worker process between its first and last frame, by the thread clock.

    ``own`` is what is neither reading and decoding nor the engine, over the whole; it holds threads,
    messages to the agent and the interpreter, too. ``cpu_ms`` is each stage's part of a frame.
    """

    own: float
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """CPU seconds of each contender round by round; own shares of each round; detections of all frames."""

    rounds: Rounds
    shares: Sequence[Share]
    detections: Mapping[str, int]

    def own_share(self) -> Ratio:
        """Median of the rounds and their spread."""
        return Ratio.of([share.own for share in self.shares])

    def stages(self) -> dict[str, float]:
        """Median CPU milliseconds of each stage of a frame."""
        names = self.shares[0].cpu_ms
        return {name: statistics.median(share.cpu_ms[name] for share in self.shares) for name in names}


def missing(peer: str) -> str:
    """Why a peer cannot run here; empty when it can."""
    done = subprocess.run(
        [sys.executable, "-m", PEERS[peer], "--ready"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = done.stderr.strip().splitlines()
    return (lines[-1] if lines else f"exit status {done.returncode}") if done.returncode else ""


def run(video: Path, model: Model, frames: int, rounds: int, peers: Sequence[str]) -> Outcome:
    """Interleaved rounds of edgeward, the floor and ``peers`` over the same file.

    Raises:
        RuntimeError: somebody did not look at all frames, or found much more or less than edgeward.
    """
    shares: list[Share] = []
    detections: dict[str, int] = {}

    def ours() -> float:
        total, share, detections["edgeward"] = asyncio.run(_worker(video, model, frames))
        shares.append(share)
        return total

    def other(name: str, module: str) -> Callable[[], float]:
        def measure() -> float:
            cpu_s, detections[name] = _peer(module, video, model, frames)
            return cpu_s

        return measure

    contenders = {"edgeward": ours, "floor": other("floor", FLOOR)}
    contenders |= {peer: other(peer, PEERS[peer]) for peer in peers}
    measured = interleave(contenders, rounds)
    del detections["floor"]
    for name, number in detections.items():
        if abs(number - detections["edgeward"]) > SAME_DETECTIONS * max(detections["edgeward"], 8):
            raise RuntimeError(f"{name} has {number} detections, edgeward {detections['edgeward']}")
    return Outcome(measured, shares[1:], detections)


async def _worker(video: Path, model: Model, frames: int) -> tuple[float, Share, int]:
    """CPU seconds of a real worker from the loaded model on, their parts, detections of all frames."""
    source = ipc.StreamSpec(name="s", url=str(video), pacing="every", max_frames=frames, reconnect=False)
    start = ipc.Start(
        pipeline="bench",
        bundle_dir=str(model.folder),
        manifest_sha256=model.manifest_sha256,
        streams=(source,),
    )
    worker = await WorkerProcess.start(start, on_log=lambda line: print(line, file=sys.stderr))
    reports: list[Mapping[str, float]] = []
    results = detections = 0
    while (message := await worker.receive()) is not None:
        if isinstance(message, ipc.Metrics):
            reports.append(message.cpu_s)
        elif isinstance(message, ipc.Result):
            results += message.status == "detections"
            detections += len(message.detections)
        elif isinstance(message, ipc.Fatal):
            raise EdgewardError(Code.of(message.code), message.what, where=message.where)
    await worker.stop()
    if len(reports) < 2 or results != frames:
        raise RuntimeError(f"the worker gave {results} results for {frames} frames")
    total, share = _share(reports[0], reports[-1], frames)
    return total, share, detections


def _share(first: Mapping[str, float], last: Mapping[str, float], frames: int) -> tuple[float, Share]:
    """CPU seconds between two reports of a worker, and what became of them."""
    spent = {stage: last[stage] - first.get(stage, 0.0) for stage in last}
    total = spent.pop("process")
    named = {stage: seconds * 1e3 / frames for stage, seconds in spent.items()}
    named["other"] = total * 1e3 / frames - sum(named.values())
    return total, Share((total - spent["decode"] - spent["infer"]) / total, named)


def _peer(module: str, video: Path, model: Model, frames: int) -> tuple[float, int]:
    """CPU seconds and detections of a peer."""
    command = [sys.executable, "-m", module, str(video), str(model.file), model.name, str(frames)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module}: {done.stderr}")
    answer = json.loads(done.stdout)
    if answer["frames"] != frames:
        raise RuntimeError(f"{module} saw {answer['frames']} frames of {frames}")
    return float(answer["cpu_s"]), int(answer["detections"])
