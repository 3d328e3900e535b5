"""1080p picture to a letterboxed float32 NCHW tensor: native, OpenCV both ways, and plain memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

import native
from bench import opencv_way
from bench.measure import Rounds, interleave
from runtime.engine import Array, allocate

WIDTH, HEIGHT = 1920, 1080
REPEATS = 10


def run(picture: Array, size: int, rounds: int) -> Rounds:
    """Measure one tensor size, one thread. ``picture`` is I420 ``[1620, 1920]`` uint8."""
    cv2.setNumThreads(1)
    out = allocate("float32", (1, 3, size, size))
    i420 = _planes(picture)
    nv12 = (i420[0], np.ascontiguousarray(np.stack((i420[1], i420[2]), -1)).reshape(HEIGHT // 2, WIDTH))
    copy, blank = np.empty_like(picture), np.empty_like(out)

    def memory() -> None:
        np.copyto(copy, picture)
        blank.fill(opencv_way.PAD)

    plans = {name: _plan(name, size) for name in ("i420", "nv12")}
    return interleave(
        {
            "native": _timed(lambda: plans["i420"].run(i420, (WIDTH, WIDTH // 2, WIDTH // 2), out)),
            "native nv12": _timed(lambda: plans["nv12"].run(nv12, (WIDTH, WIDTH), out)),
            "opencv colour first": _timed(lambda: opencv_way.colour_first(picture, size)),
            "opencv planes first": _timed(lambda: opencv_way.planes_first(picture, size)),
            "memory": _timed(memory),
        },
        rounds,
    )


def _plan(name: str, size: int) -> native.Preprocess:
    return native.Preprocess(
        format=name,
        width=WIDTH,
        height=HEIGHT,
        out_width=size,
        out_height=size,
        fit="letterbox_topleft",
        order="bgr",
    )


def _planes(picture: Array) -> tuple[Array, Array, Array]:
    quarter = HEIGHT // 4
    chroma = picture[HEIGHT:]
    return (
        picture[:HEIGHT],
        chroma[:quarter].reshape(HEIGHT // 2, WIDTH // 2),
        chroma[quarter:].reshape(HEIGHT // 2, WIDTH // 2),
    )


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        started = time.thread_time()
        for _ in range(REPEATS):
            call()
        return (time.thread_time() - started) / REPEATS

    return measure
