"""Kernels run beside other Python threads, on shared plans, and on memory that FFmpeg owns."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest
from native_reference import Case, in_layout, picture, values

import native

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("in_crops", [False, True])
def test_other_threads_get_on_while_a_kernel_runs(in_crops: bool) -> None:
    """One call is long enough to outlast the interpreter's switch interval, and only a call without the GIL
    lets the other thread see the moment between its start and its end."""
    case = Case("bgr24", 64, 64, 6000, 6000)
    _, planes, strides = picture(case)
    plan, out = native.Preprocess(**case.plan_arguments()), np.empty(case.shape(), np.float32)
    inside, seen, finished = threading.Event(), threading.Event(), threading.Event()

    def watch() -> None:
        inside.wait()
        while not finished.is_set():
            if out[0, 0, 0, 0] != -1 and out[0, 2, -1, -1] == -1:  # begun, not yet done
                seen.set()
                return

    for _ in range(50):
        out[0, 0, 0, 0] = out[0, 2, -1, -1] = -1
        inside.clear()
        finished.clear()
        watcher = threading.Thread(target=watch)
        watcher.start()
        inside.set()
        if in_crops:
            plan.run_crops(planes, strides, [(0, 0, 64, 64)], out)
        else:
            plan.run(planes, strides, out)
        finished.set()
        watcher.join()
        if seen.is_set():
            break
    assert seen.is_set()


def test_one_plan_serves_several_threads_at_a_time() -> None:
    case = Case("nv12", 321, 201, 160, 160, stride_extra=7)
    plan = native.Preprocess(**case.plan_arguments())
    failures: list[int] = []

    def work(seed: int) -> None:
        mine = Case("nv12", 321, 201, 160, 160, stride_extra=7, seed=seed)
        grids, planes, strides = picture(mine)
        expected = in_layout(mine, values(mine, grids))
        out = np.empty(mine.shape(), np.float32)
        for _ in range(50):
            plan.run(planes, strides, out)
            if np.abs(out - expected).max() > 0.64:
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize(("pixel_format", "fmt"), [("yuv420p", "i420"), ("nv12", "nv12"), ("bgr24", "bgr24")])
def test_planes_of_a_decoded_frame_are_taken_as_they_are(pixel_format: str, fmt: str) -> None:
    width, height = 322, 182  # FFmpeg pads such rows: strides exceed the width
    rgb = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
    strides = [plane.line_size for plane in frame.planes]
    case = Case(fmt, width, height, 96, 64)
    out = np.empty(case.shape(), np.float32)
    native.Preprocess(**case.plan_arguments()).run(frame.planes, strides, out)

    grids = []
    for plane, stride in zip(frame.planes, strides, strict=True):
        components = {"bgr24": 3}.get(fmt, 2 if fmt == "nv12" and grids else 1)
        columns = (width if not grids else width // 2) * components
        rows = np.frombuffer(plane, np.uint8).reshape(-1, stride)[:, :columns]
        grids.append(rows.reshape(rows.shape[0], -1, components))
    assert strides[0] > width
    assert np.abs(out - in_layout(case, values(case, grids))).max() <= 0.64
