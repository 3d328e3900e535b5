"""Eight cameras on one model: it is loaded once, and nobody gets less than his share."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from runtime import ipc
from tests.conftest import ROOT, Signed
from tests.integration import footage_1080p
from tests.integration.worker_peer import Worker, start_message

pytestmark = pytest.mark.integration

STREAMS, RESULTS_EACH = 8, 25
MOST_MB_A_STREAM = 25.0

# What the decoders alone need: the same files, read in the same way, and nothing done with the pictures.
DECODERS = """
import sys, threading, psutil
from runtime.ipc import StreamSpec
from runtime.source.libav import LibavSource
from runtime.tally import Tally
from pathlib import Path
film, count = sys.argv[1], int(sys.argv[2])
done, goes_on = threading.Barrier(count + 1), threading.Event()
def read(number):
    source = LibavSource(StreamSpec(name=str(number), url=film), session=0, tally=Tally())
    source.open()
    for index, frame in enumerate(source.frames()):
        if index == 20:
            done.wait()
            goes_on.wait()
            return
for number in range(count):
    threading.Thread(target=read, args=(number,), daemon=True).start()
done.wait()
print(psutil.Process().memory_full_info().uss / 1e6)
goes_on.set()
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage_1080p.write(tmp_path_factory.mktemp("film") / "film.mp4", 60)


def decoders_mb(film: Path, count: int) -> float:
    command = [sys.executable, "-c", DECODERS, str(film), str(count)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def run(signed: Signed, film: Path, store: Path, count: int) -> tuple[float, dict[str, int]]:
    """Memory of the worker in MB once every stream is at work, and results by stream."""
    streams = tuple(
        ipc.StreamSpec(name=f"cam-{at}", url=str(film), pacing="live", loop=True, max_fps=5)
        for at in range(count)
    )
    results = dict.fromkeys((spec.name for spec in streams), 0)

    def enough(message: ipc.FromWorker) -> bool:
        if isinstance(message, ipc.Result):
            assert message.status == "detections", message.why
            results[message.stream] += 1
        return sum(results.values()) >= count * RESULTS_EACH

    with Worker(start_message(signed, store, streams)) as worker:
        worker.until(enough)
        return psutil.Process(worker.process.pid).memory_full_info().uss / 1e6, results


def test_eight_streams_share_one_model_and_share_it_alike(yolox: Signed, film: Path, tmp_path: Path) -> None:
    one_mb, _ = run(yolox, film, tmp_path / "store", 1)
    all_mb, results = run(yolox, film, tmp_path / "store", STREAMS)
    decoders = decoders_mb(film, STREAMS) - decoders_mb(film, 1)
    beyond = (all_mb - one_mb - decoders) / (STREAMS - 1)
    assert beyond < MOST_MB_A_STREAM, (one_mb, all_mb, decoders)
    assert max(results.values()) <= 1.1 * statistics.mean(results.values())
    assert min(results.values()) >= 0.9 * statistics.mean(results.values())
