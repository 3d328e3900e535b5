"""Area sampling averages as OpenCV's INTER_AREA does, and fine patterns do not alias."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import native

pytestmark = pytest.mark.unit


def resized(bgr: np.ndarray, width: int, height: int, sampling: str) -> np.ndarray:
    plan = native.Preprocess(
        format="bgr24",
        width=bgr.shape[1],
        height=bgr.shape[0],
        out_width=width,
        out_height=height,
        fit="stretch",
        sampling=sampling,
        order="bgr",
        dtype="uint8",
        layout="nhwc",
    )
    out = np.empty((height, width, 3), np.uint8)
    plan.run([np.ascontiguousarray(bgr)], [bgr.shape[1] * 3], out)
    return out


@pytest.mark.parametrize("size", [(160, 90), (173, 97), (64, 200), (640, 97), (7, 5), (1, 1)])
def test_bgr_shrinks_as_opencv_averages_it(kernels: str, size: tuple[int, int]) -> None:
    bgr = np.random.default_rng(1).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    error = resized(bgr, *size, "area").astype(float) - cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    assert np.abs(error).max() <= 1
    assert np.abs(error).mean() <= 0.25 or size == (1, 1)


@pytest.mark.parametrize("pattern", ["checkerboard", "columns", "rows"])
@pytest.mark.parametrize("size", [(213, 120), (160, 90), (91, 77)])
def test_one_pixel_patterns_become_an_even_gray(kernels: str, pattern: str, size: tuple[int, int]) -> None:
    y, x = np.indices((360, 640))
    on = {"checkerboard": x + y, "columns": x, "rows": y}[pattern] % 2
    bgr = np.repeat((on * 255).astype(np.uint8)[..., None], 3, 2)
    averaged, sampled = (resized(bgr, *size, sampling).astype(float) for sampling in ("area", "bilinear"))
    # What is left is the pixel more or less that an odd number of them leaves over.
    across, down = 640 / size[0], 360 / size[1]
    left_over = {"checkerboard": across * down, "columns": across, "rows": down}[pattern]
    assert np.abs(averaged - 127.5).max() <= 127.5 / left_over + 1
    assert averaged.std() < 0.75 * sampled.std() or averaged.std() == 0


def test_half_the_size_of_stripes_is_flat(kernels: str) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert set(resized(stripes, 16, 16, "area").reshape(-1)) == {127}


def test_i420_shrinks_as_opencv_averages_its_colours(kernels: str) -> None:
    """Each plane at its own resolution: what differs is the rounding of whole pixels in between."""
    rng = np.random.default_rng(5)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (540, 640), dtype=np.uint8), (0, 0), 3)
    i420 = cv2.normalize(smooth, None, 70, 180, cv2.NORM_MINMAX)
    i420[360:] = np.clip(i420[360:], 108, 148)
    bgr = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
    expected = cv2.resize(bgr[5:346, 3:620], (173, 97), interpolation=cv2.INTER_AREA).astype(float)
    plan = native.Preprocess(
        format="i420",
        width=640,
        height=360,
        crop=(3, 5, 617, 341),
        out_width=173,
        out_height=97,
        fit="stretch",
        sampling="area",
        order="bgr",
        layout="nhwc",
    )
    out = np.empty((97, 173, 3), np.float32)
    quarters = i420[360:].reshape(2, -1)
    plan.run([i420[:360], quarters[0], quarters[1]], [640, 320, 320], out)
    assert np.abs(out - expected).max() <= 2
    assert np.abs(out - expected).mean() <= 0.3


def test_enlarging_is_bilinear_all_the_same(kernels: str) -> None:
    bgr = np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(resized(bgr, 150, 90, "area"), resized(bgr, 150, 90, "bilinear"))


def test_the_largest_picture_becomes_one_pixel(kernels: str) -> None:
    bgr = np.full((16384, 40, 3), 255, np.uint8)
    bgr[::2] = 0
    assert np.abs(resized(bgr, 1, 1, "area").astype(float) - 127.5).max() <= 1
