"""What every peer is given and what it answers: one JSON line with its frames, detections and CPU seconds."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime as ort


@dataclass(frozen=True)
class Job:
    """Look at ``frames`` frames of ``video`` with ``model``, which is the file of the one called ``name``."""

    video: str
    model: str
    name: str
    frames: int


class Spent:
    """CPU seconds of this process, all threads, and of its child ``pid`` if it has one.

    A peer that decodes in this thread begins before it opens the source. One whose decoding starts elsewhere
    (a child, GStreamer's threads) begins with its first frame, for its starting is not what is measured.
    """

    def __init__(self, pid: int = 0) -> None:
        # The clock of another process: clock_getcpuclockid(3); Linux makes its number from the process id.
        self._child = (~pid << 3) | 2 if pid else None
        self._began = self._now()

    def _now(self) -> float:
        child = time.clock_gettime(self._child) if self._child is not None else 0.0
        return time.process_time() + child

    def seconds(self) -> float:
        """Since it was made. The child must not have been waited for."""
        return self._now() - self._began


def answer(frames: int, detections: int, cpu_s: float) -> None:
    """Print it."""
    print(json.dumps({"frames": frames, "detections": detections, "cpu_s": cpu_s}))


def main(run: Callable[[Job], None]) -> None:
    """Command line of a peer: ``VIDEO MODEL NAME FRAMES``, or ``--ready``: can it run here?"""
    if sys.argv[1:] == ["--ready"]:
        return
    video, model, name, frames = sys.argv[1:]
    # Where a peer's library starts a thread for each core by default, it takes that from here.
    os.environ["OMP_NUM_THREADS"] = "1"
    run(Job(video, model, name, int(frames)))


def onnx_session(model: str) -> ort.InferenceSession:
    """A session of onnxruntime with one thread, as all that use it have it."""
    import onnxruntime as ort  # noqa: PLC0415 - one of the peers does without

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
