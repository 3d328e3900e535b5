"""Bad input is refused with a text that says what was given and what is right; nothing is read or written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import native

pytestmark = pytest.mark.unit

PLAN: dict[str, Any] = {"format": "i420", "width": 9, "height": 5, "out_width": 8, "out_height": 6}
STRIDES = [9, 5, 5]


def planes() -> list[Any]:
    return [np.zeros(45, np.uint8), np.zeros(15, np.uint8), np.zeros(15, np.uint8)]


def out() -> np.ndarray:
    return np.full((1, 3, 6, 8), 77, np.float32)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "rgb24"}, "format must be one of i420, nv12, bgr24"),
        ({"matrix": "bt2020"}, "matrix must be one of"),
        ({"fit": "cover"}, "fit must be one of"),
        ({"order": "gbr"}, "order must be one of rgb, bgr, gray"),
        ({"sampling": "cubic"}, "sampling must be one of bilinear, area"),
        ({"dtype": "float64"}, "dtype must be one of"),
        ({"layout": "chw"}, "layout must be one of"),
        ({"width": 0}, "width must be 1..16384, not 0"),
        ({"out_height": 20000}, "out_height must be 1..16384, not 20000"),
        ({"crop": (0, 0, 10, 5)}, "does not lie inside the picture of 9x5"),
        ({"crop": (-1, 0, 3, 3)}, "does not lie inside"),
        ({"crop": (2, 2, 0, 1)}, "does not lie inside"),
        ({"crop": (2**31 - 1, 0, 2**31 - 1, 1)}, "does not lie inside"),
        ({"std": (1.0, 0.0, 1.0)}, "std finite and not 0"),
        ({"mean": (float("nan"), 0.0, 1.0)}, "mean must be finite"),
        ({"scale": float("inf")}, "scale must be finite"),
        ({"quant_scale": 0.0}, "quant_scale must be finite and above 0"),
        ({"dtype": "int8", "quant_zero_point": 200}, "quant_zero_point must lie within"),
        ({"pad": 300.0}, r"pad must be 0\.\.255"),
        ({"pad": float("nan")}, r"pad must be 0\.\.255"),
    ],
)
def test_a_plan_with_a_bad_value_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.Preprocess(**(PLAN | change))


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_a_plane_that_is_a_byte_short_is_refused_before_anything_is_written(plane: int) -> None:
    short, tensor = planes(), out()
    short[plane] = short[plane][:-1]
    with pytest.raises(ValueError, match=f"plane {plane}: .* bytes are too short for"):
        native.Preprocess(**PLAN).run(short, STRIDES, tensor)
    assert (tensor == 77).all()


@pytest.mark.parametrize(
    ("strides", "says"),
    [
        ([9, 5], "3 planes, but 2 strides"),
        ([8, 5, 5], "plane 0: stride 8 is less than a row of 9 bytes"),
        ([9, 0, 5], "plane 1: stride must be above 0"),
        ([9, -5, 5], "plane 1: stride must be above 0"),
        ([2**62, 5, 5], "plane 0: 45 bytes are too short"),
    ],
)
def test_strides_that_do_not_fit_are_refused(strides: list[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.Preprocess(**PLAN).run(planes(), strides, out())


def test_a_wrong_number_of_planes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 planes, not 2"):
        native.Preprocess(**PLAN).run(planes()[:2], STRIDES[:2], out())


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros((1, 3, 6, 8), np.float64),
        np.zeros((1, 3, 6, 8), np.float16),
        np.zeros((1, 3, 6, 8), np.int32),
        np.zeros((1, 3, 6, 7), np.float32),
        np.zeros((1, 6, 8, 3), np.float32),
        np.zeros((2, 3, 6, 8), np.float32),
        np.zeros(144, np.float32),
    ],
)
def test_an_out_of_another_dtype_or_shape_is_refused_with_what_is_expected(tensor: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"out is .*, expected float32 \(1, 3, 6, 8\)"):
        native.Preprocess(**PLAN).run(planes(), STRIDES, tensor)


def test_an_out_that_cannot_be_written_in_order_is_refused() -> None:
    constant = out()
    constant.flags.writeable = False
    for tensor in (constant, out().transpose(0, 1, 3, 2), np.zeros((1, 3, 6, 16), np.float32)[..., ::2]):
        with pytest.raises(ValueError, match="out must be a writable C-contiguous array"):
            native.Preprocess(**PLAN).run(planes(), STRIDES, tensor)


def test_the_leading_1_of_out_may_be_left_out() -> None:
    with_batch, without = out(), out()[0]
    native.Preprocess(**PLAN).run(planes(), STRIDES, with_batch)
    native.Preprocess(**PLAN).run(planes(), STRIDES, without)
    assert np.array_equal(with_batch[0], without)


def test_objects_without_memory_are_type_errors() -> None:
    with pytest.raises(TypeError, match="plane 1 must support the buffer protocol, which list does not"):
        native.Preprocess(**PLAN).run([planes()[0], [0] * 15, planes()[2]], STRIDES, out())
    with pytest.raises(TypeError, match="out must support the buffer protocol"):
        native.Preprocess(**PLAN).run(planes(), STRIDES, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="integer"):
        native.Preprocess(**PLAN).run(planes(), [9, "5", 5], out())  # type: ignore[list-item]
    with pytest.raises(ValueError, match="cannot fit"):
        native.Preprocess(**PLAN).run(planes(), [9, 5, 2**70], out())


def test_a_refused_buffer_is_let_go() -> None:
    growing = bytearray(10)
    with pytest.raises(ValueError, match="too short"):
        native.Preprocess(**PLAN).run([growing, *planes()[1:]], STRIDES, out())
    growing.append(0)  # a bytearray that somebody still holds raises BufferError


def test_an_unknown_kernel_set_is_refused_and_the_old_one_stays() -> None:
    before = native.simd()
    with pytest.raises(ValueError, match="available: auto, scalar"):
        native.set_simd("mmx")
    assert native.simd() == before


def test_auto_takes_the_fastest_kernel_set() -> None:
    native.set_simd("scalar")
    assert native.simd() == "scalar"
    native.set_simd("auto")
    assert native.simd() == native.available_simd()[-1]
