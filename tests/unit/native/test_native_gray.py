"""One channel: the gray picture that OpenCV makes of the coloured one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from native_reference import Case

import native

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_bgr_is_weighed_as_opencv_does(kernels: str, layout: str) -> None:
    bgr = np.random.default_rng(4).integers(0, 256, (31, 53, 3), dtype=np.uint8)
    case = Case("bgr24", 53, 31, 53, 31, order="gray", dtype="uint8", layout=layout)
    out = np.empty(case.shape(), np.uint8)
    native.Preprocess(**case.plan_arguments()).run([bgr], [159], out)
    error = out.reshape(31, 53).astype(int) - cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    assert np.abs(error).max() <= 1
    assert np.abs(error).mean() <= 0.1


@pytest.mark.parametrize("fmt", ["i420", "nv12"])
def test_luma_is_the_gray_of_the_coloured_picture(kernels: str, fmt: str) -> None:
    # A full ramp of luma, 0..255: what lies outside of 16..235 is clipped as cvtColor clips it.
    luma = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    chroma = np.full((2, 32, 128), 128, np.uint8)
    i420 = np.concatenate([luma.reshape(-1), chroma.reshape(-1)]).reshape(96, 256)
    expected = cv2.cvtColor(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), cv2.COLOR_BGR2GRAY)
    case = Case(fmt, 256, 64, 256, 64, order="gray")
    out = np.empty((1, 1, 64, 256), np.float32)
    planes = [luma, *chroma] if fmt == "i420" else [luma, chroma]
    native.Preprocess(**case.plan_arguments()).run(
        planes, [256] + [128 if fmt == "i420" else 256] * (len(planes) - 1), out
    )
    assert np.abs(out[0, 0] - expected).max() <= 1


def test_full_range_luma_is_taken_as_it_is(kernels: str) -> None:
    luma = np.random.default_rng(6).integers(0, 256, (20, 30), dtype=np.uint8)
    chroma = np.random.default_rng(7).integers(0, 256, (10, 15), dtype=np.uint8)
    plan = native.Preprocess(
        format="i420",
        width=30,
        height=20,
        full_range=True,
        out_width=30,
        out_height=20,
        order="gray",
        dtype="uint8",
        layout="nhwc",
    )
    assert plan.shape == (1, 20, 30, 1)
    out = np.empty(plan.shape, np.uint8)
    plan.run([luma, chroma, chroma], [30, 15, 15], out)
    assert np.array_equal(out[0, :, :, 0], luma)


def test_mean_std_and_pad_are_the_first(kernels: str) -> None:
    plan = native.Preprocess(
        format="bgr24",
        width=4,
        height=2,
        out_width=4,
        out_height=4,
        order="gray",
        pad=(10.0, 20.0, 30.0),
        mean=(2.0, 99.0, 99.0),
        std=(4.0, 9.0, 9.0),
    )
    out = np.empty((1, 1, 4, 4), np.float32)
    plan.run([np.full(24, 50, np.uint8)], [12], out)
    assert (out[0, 0, [0, 3]] == 2).all()
    assert (out[0, 0, 1:3] == 12).all()


def test_crops_are_gray_as_well(kernels: str) -> None:
    bgr = np.full((10, 10, 3), 77, np.uint8)
    plan = native.Preprocess(format="bgr24", width=10, height=10, out_width=4, out_height=4, order="gray")
    out = np.zeros((2, 1, 4, 4), np.float32)
    plan.run_crops([bgr], [30], [(0, 0, 5, 5), (3, 3, 7, 7)], out)
    assert (out == 77).all()
