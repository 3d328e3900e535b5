"""The whole pipeline in its worker process against a script and against decode and inference alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.workers.process import WorkerProcess
from bench.measure import Rounds, interleave
from runtime import ipc
from runtime.errors import Code, EdgewardError

ROOT = Path(__file__).resolve().parent.parent
OWN = ("preprocess", "postprocess", "publish")


@dataclass(frozen=True)
class Model:
    """A verified bundle folder, and the bare model file for those that know no bundles."""

    folder: Path
    manifest_sha256: str
    file: Path
    size: int


@dataclass(frozen=True)
class Share:
    """CPU of the worker process between its first and last frame, by the thread clock.

    ``own`` is what is neither reading and decoding nor the engine, over the whole; it holds threads,
    messages to the agent and the interpreter, too.
    """

    own: float
    cpu_ms: dict[str, float]


def run(video: Path, model: Model, frames: int, rounds: int) -> tuple[Rounds, list[Share]]:
    """Interleaved rounds over the same file; also each round's own share."""
    shares: list[Share] = []

    def ours() -> float:
        total, share = asyncio.run(_worker(video, model, frames))
        shares.append(share)
        return total

    rounds_ = interleave(
        {
            "edgeward": ours,
            "opencv script": _peer("bench.peers.opencv_script", video, model, frames),
            "floor": _peer("bench.peers.floor", video, model, frames),
        },
        rounds,
    )
    return rounds_, shares[1:]


async def _worker(video: Path, model: Model, frames: int) -> tuple[float, Share]:
    """CPU seconds of a real worker over ``frames`` frames, from the loaded model on, and its parts."""
    start = ipc.Start(
        pipeline="bench",
        bundle_dir=str(model.folder),
        manifest_sha256=model.manifest_sha256,
        streams=(
            ipc.StreamSpec(name="s", url=str(video), pacing="every", max_frames=frames, reconnect=False),
        ),
        score_threshold=0.35,
    )
    worker = await WorkerProcess.start(start, on_log=lambda line: print(line, file=sys.stderr))
    first: dict[str, float] | None = None
    last: dict[str, float] = {}
    results = 0
    while (message := await worker.receive()) is not None:
        if isinstance(message, ipc.Metrics):
            first = first or message.cpu_s
            last = message.cpu_s
        elif isinstance(message, ipc.Result):
            results += message.status == "detections"
        elif isinstance(message, ipc.Fatal):
            raise EdgewardError(Code.of(message.code), message.what, where=message.where)
    await worker.stop()
    if first is None or results != frames:
        raise RuntimeError(f"the worker gave {results} results for {frames} frames")
    spent = {stage: last[stage] - first[stage] for stage in last}
    total = spent["process"]
    named = {stage: spent[stage] * 1e3 / frames for stage in (*OWN, "decode", "infer")}
    own = total - spent["decode"] - spent["infer"]
    named["other"] = own * 1e3 / frames - sum(named[stage] for stage in OWN)
    return total, Share(own / total, named)


def _peer(module: str, video: Path, model: Model, frames: int) -> Callable[[], float]:
    command = [sys.executable, "-m", module, str(video), str(model.file), str(model.size), str(frames)]

    def measure() -> float:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        if answer["frames"] != frames:
            raise RuntimeError(f"{module} saw {answer['frames']} frames of {frames}")
        return float(answer["cpu_s"])

    return measure
