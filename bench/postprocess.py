"""YOLOX decode and NMS: native against NumPy and OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import native
from bench import opencv_way
from bench.measure import Rounds, interleave
from runtime.engine import Array

REPEATS = 20
THRESHOLD, IOU = 0.35, 0.45


def head(size: int, objects: int = 12) -> Array:
    """A raw head ``[N, 85]`` float32 as models give it: low scores but for three cells an object."""
    generator = np.random.default_rng(7)
    rows = sum((size // stride) ** 2 for stride in (8, 16, 32))
    output = np.empty((rows, 85), np.float32)
    output[:, :4] = generator.normal(0, 0.5, (rows, 4))
    output[:, 4:] = generator.beta(0.3, 30, (rows, 81))
    for row in generator.choice(rows - 3, objects, replace=False):
        output[row : row + 3, 4] = generator.uniform(0.7, 0.95)
        output[row : row + 3, 5 + int(generator.integers(80))] = generator.uniform(0.7, 0.95)
    return output


def run(size: int, rounds: int) -> Rounds:
    """Measure one input size; both must give the same boxes first."""
    output = head(size)
    usual = opencv_way.YoloxDecode(size)

    def ours() -> Array:
        boxes, _, broken = native.decode_yolox(
            output,
            input_width=size,
            input_height=size,
            score_threshold=THRESHOLD,
            iou_threshold=IOU,
            frame_width=1 << 20,
            frame_height=1 << 20,
        )
        assert broken == 0
        return boxes

    boxes, scores, classes = usual(output, THRESHOLD, IOU)
    found = ours()
    order, mine = np.argsort(-scores, kind="stable"), np.argsort(-found[:, 4], kind="stable")
    np.testing.assert_allclose(found[mine, 4], scores[order], atol=1e-4)
    np.testing.assert_allclose(found[mine, :4], np.maximum(boxes[order], 0), atol=1e-2)
    np.testing.assert_array_equal(found[mine, 5], classes[order])
    return interleave(
        {"native": _timed(ours), "numpy": _timed(lambda: usual(output, THRESHOLD, IOU))},
        rounds,
    )


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        started = time.thread_time()
        for _ in range(REPEATS):
            call()
        return (time.thread_time() - started) / REPEATS

    return measure
