"""Many crops of one picture in one call are what a plan of their own makes of each."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from native_reference import Case, in_layout, picture, placement, used, values

import native

pytestmark = pytest.mark.unit

CROPS = [(0, 0, 97, 61), (1, 1, 50, 40), (7, 4, 33, 57), (8, 3, 33, 57), (96, 60, 1, 1), (20, 11, 1, 50)]


@pytest.mark.parametrize("fmt", ["i420", "nv12", "bgr24"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("sampling", ["bilinear", "area"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_each_crop_follows_the_reference(
    kernels: str, fmt: str, fit: str, sampling: str, layout: str
) -> None:
    case = Case(fmt, 97, 61, 40, 24, fit=fit, sampling=sampling, layout=layout, stride_extra=5)
    grids, planes, strides = picture(case)
    out = np.full((len(CROPS) + 1, *case.shape()[1:]), 77, np.float32)
    mappings = native.Preprocess(**case.plan_arguments()).run_crops(planes, strides, CROPS, out)
    assert len(mappings) == len(CROPS)
    for crop, tensor, mapping in zip(CROPS, out, mappings, strict=False):
        case.crop = crop
        assert np.abs(tensor - in_layout(case, values(case, grids))[0]).max() <= 0.64
        x, y, width, height = used(case)
        left, top, new_width, new_height = placement(case)
        assert mapping == pytest.approx((new_width / width, new_height / height, left, top, x, y))
    assert (out[-1] == 77).all(), "what lies behind the last crop is left as it is"


def test_run_and_run_crops_agree_to_the_last_bit(kernels: str) -> None:
    case = Case("nv12", 321, 181, 64, 48, dtype="float16", scale=1 / 255, mean=(0.5, 0.4, 0.3))
    _, planes, strides = picture(case)
    crops = [(3 * k, k, 100 + k, 150 - k) for k in range(20)]
    batch = np.zeros((20, *case.shape()[1:]), np.float16)
    native.Preprocess(**case.plan_arguments()).run_crops(planes, strides, crops, batch)
    for k, crop in enumerate(crops):
        case.crop = crop
        alone = np.zeros(case.shape(), np.float16)
        native.Preprocess(**case.plan_arguments()).run(planes, strides, alone)
        assert np.array_equal(batch[k : k + 1], alone)


def test_crops_are_clipped_to_the_picture() -> None:
    case = Case("bgr24", 20, 10, 8, 8, fit="stretch")
    _, planes, strides = picture(case)
    plan, out = native.Preprocess(**case.plan_arguments()), np.zeros((2, 3, 8, 8), np.float32)
    crops = [(-4, -6, 12, 100), (16, 0, 2**31 - 1, 2**31 - 1)]
    assert plan.run_crops(planes, strides, crops, out) == [(1, 0.8, 0, 0, 0, 0), (2, 0.8, 0, 0, 16, 0)]


@pytest.mark.parametrize("crop", [(20, 0, 5, 5), (0, 10, 5, 5), (3, 3, 0, 5), (3, 3, 5, -1), (-9, 0, 9, 9)])
def test_a_crop_with_nothing_inside_is_named_and_nothing_is_written(crop: tuple[int, int, int, int]) -> None:
    case = Case("bgr24", 20, 10, 8, 8)
    _, planes, strides = picture(case)
    out = np.full((2, 3, 8, 8), 77, np.float32)
    with pytest.raises(
        ValueError, match=r"crop 1 \(x, y, w, h\) = .* has nothing inside the picture of 20x10"
    ):
        native.Preprocess(**case.plan_arguments()).run_crops(planes, strides, [(0, 0, 5, 5), crop], out)
    assert (out == 77).all()


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 3, 8, 8), np.float32),
        np.zeros((2, 3, 8, 8), np.float16),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((3, 8, 8), np.float32),
        np.zeros(384, np.float32),
    ],
)
def test_an_out_that_cannot_hold_the_crops_is_refused(out: np.ndarray) -> None:
    case = Case("bgr24", 20, 10, 8, 8)
    _, planes, strides = picture(case)
    with pytest.raises(ValueError, match=r"expected float32 \(2, 3, 8, 8\) for 2 crops, or more"):
        native.Preprocess(**case.plan_arguments()).run_crops(planes, strides, [(0, 0, 5, 5)] * 2, out)


def test_no_crops_are_no_work() -> None:
    case = Case("i420", 20, 10, 8, 8)
    _, planes, strides = picture(case)
    out = np.full((2, 3, 8, 8), 77, np.float32)
    assert native.Preprocess(**case.plan_arguments()).run_crops(planes, strides, [], out) == []
    assert (out == 77).all()


@pytest.mark.parametrize("crops", [5, [5], [(1, 2, 3)], [(1, 2, 3, "4")], [(1.5, 2, 3, 4)]])
def test_crops_of_another_kind_are_type_errors(crops: Any) -> None:
    case = Case("bgr24", 20, 10, 8, 8)
    _, planes, strides = picture(case)
    with pytest.raises(TypeError):
        native.Preprocess(**case.plan_arguments()).run_crops(
            planes, strides, crops, np.zeros((1, 3, 8, 8), np.float32)
        )


def test_an_array_of_integers_serves_as_crops() -> None:
    case = Case("bgr24", 20, 10, 8, 8)
    _, planes, strides = picture(case)
    crops, out = np.array([[0, 0, 5, 5], [1, 2, 6, 7]]), np.zeros((2, 3, 8, 8), np.float32)
    plan = native.Preprocess(**case.plan_arguments())
    assert plan.run_crops(planes, strides, crops.tolist(), out) == plan.run_crops(planes, strides, crops, out)  # type: ignore[arg-type]


def test_one_plan_takes_crops_of_several_threads_at_a_time() -> None:
    case = Case("i420", 161, 121, 32, 32)
    _, planes, strides = picture(case)
    plan = native.Preprocess(**case.plan_arguments())
    crops = [(k % 31, k % 17, 30 + k, 20 + k) for k in range(90)]  # more than are remembered
    expected = np.zeros((90, 3, 32, 32), np.float32)
    plan.run_crops(planes, strides, crops, expected)
    failures: list[int] = []

    def work(number: int) -> None:
        out = np.zeros_like(expected)
        for _ in range(15):
            plan.run_crops(planes, strides, crops, out)
            if not np.array_equal(out, expected):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_run_fills_an_element_of_a_batch() -> None:
    case = Case("bgr24", 20, 10, 8, 8)
    _, planes, strides = picture(case)
    plan, batch = native.Preprocess(**case.plan_arguments()), np.full((4, 3, 8, 8), 77, np.float32)
    plan.run(planes, strides, batch[2:3])
    plan.run(planes, strides, batch[1])
    assert np.array_equal(batch[1], batch[2])
    assert not (batch[1] == 77).any()
    assert (batch[[0, 3]] == 77).all()
