"""The YOLOX head is decoded as its paper and its repository do, and nonsense in it yields nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detect_reference import ALL, compare
from detect_reference import head as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from runtime.bundle import decoders as declared
from runtime.golden.reference import heads

pytestmark = pytest.mark.unit

STRIDES = (8, 16, 32)
FRAME = {"frame_width": 128.0, "frame_height": 96.0}
INPUT = {"input_width": 128, "input_height": 96, **FRAME}
ROWS = 16 * 12 + 8 * 6 + 4 * 3
# A letterbox from a crop of a larger frame.
MAPPED = {
    **INPUT,
    "scale_x": 0.3,
    "scale_y": 0.31,
    "pad_x": 5.0,
    "pad_y": 11.0,
    "crop_x": 40.0,
    "crop_y": 7.0,
    "frame_width": 400.0,
    "frame_height": 300.0,
}


def head(seed: int, classes: int = 4, objects: float = 0.3) -> np.ndarray:
    """A head in which about `objects` of the cells claim to see something."""
    rng = np.random.default_rng(seed)
    output = rng.random((ROWS, 5 + classes), dtype=np.float32)
    output[:, :2] = rng.normal(0.5, 0.6, (ROWS, 2))
    output[:, 2:4] = rng.normal(0.8, 0.7, (ROWS, 2))
    output[:, 4] *= rng.random(ROWS) < objects
    return output


def one(row: list[float], index: int = 0, classes: int = 2, **arguments: Any) -> np.ndarray:
    output = np.zeros((ROWS, 5 + classes), np.float32)
    output[index] = row
    return native.decode_yolox(output, **(INPUT | {"score_threshold": 0.25} | arguments))[0]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    threshold=st.sampled_from([0.0, 0.05, 0.3, 0.9]),
    overlap=st.sampled_from([0.0, 0.45, 0.65, 1.0]),
    geometry=st.sampled_from([INPUT, MAPPED]),
)
def test_decoding_equals_the_reference(
    *, seed: int, threshold: float, overlap: float, geometry: dict[str, Any]
) -> None:
    output = head(seed)
    limits = {"score_threshold": threshold, "iou_threshold": overlap}
    found = native.decode_yolox(output, **limits, **geometry, **ALL)
    rows = heads.yolox(declared.Yolox(strides=STRIDES), [output[np.newaxis]], reference(4))
    place = {name: value for name, value in geometry.items() if not name.startswith("input")}
    compare(found, rows, **limits, **place)


def test_one_cell_becomes_its_box() -> None:
    # Stride 8, column 3, line 2: centre (3.5, 2.5) * 8, size (16, 8).
    found = one([0.5, 0.5, np.log(2), 0.0, 0.8, 0.1, 0.5], index=2 * 16 + 3)
    np.testing.assert_allclose(found, [[20, 16, 36, 24, 0.4, 1]], atol=1e-5)


def test_a_score_equal_to_the_threshold_passes() -> None:
    assert len(one([0.5, 0.5, 0, 0, 0.5, 0.5, 0])) == 1
    assert len(one([0.5, 0.5, 0, 0, 0.5, 0.499, 0])) == 0


def test_boxes_wholly_outside_the_frame_are_left_out() -> None:
    assert len(one([-9.0, 0.5, 0, 0, 0.9, 0.9, 0])) == 0
    found = one([0.0, 0.5, np.log(4), 0, 0.9, 0.9, 0])  # half outside: clipped
    assert found[0, 0] == 0


def test_only_overlaps_of_one_class_suppress_unless_agnostic() -> None:
    output = np.zeros((ROWS, 7), np.float32)
    output[20] = [0.5, 0.5, 1, 1, 0.9, 0.9, 0]
    output[21] = [-0.5, 0.5, 1, 1, 0.8, 0, 0.9]  # the same box, another class
    arguments = INPUT | {"score_threshold": 0.1}
    assert native.decode_yolox(output, **arguments)[0][:, 5].tolist() == [0, 1]
    assert native.decode_yolox(output, class_agnostic=True, **arguments)[0][:, 5].tolist() == [0]


def test_limits_keep_the_best() -> None:
    output = head(5, objects=1.0)
    everything, _, _ = native.decode_yolox(output, score_threshold=0.1, iou_threshold=1.0, **INPUT)
    few, _, _ = native.decode_yolox(output, score_threshold=0.1, iou_threshold=1.0, max_detections=7, **INPUT)
    assert np.array_equal(few, everything[:7])
    few, _, _ = native.decode_yolox(output, score_threshold=0.1, iou_threshold=1.0, max_candidates=7, **INPUT)
    assert np.array_equal(few, everything[:7])


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", range(7))
def test_a_row_that_is_not_finite_yields_nothing_and_takes_nothing_with_it(
    nonsense: float, column: int
) -> None:
    output = np.zeros((ROWS, 7), np.float32)
    output[0] = output[100] = [0.5, 0.5, 0, 0, 0.9, 0.9, 0.1]
    output[0, column] = nonsense
    found, _, skipped = native.decode_yolox(output, score_threshold=0.25, **INPUT)
    if nonsense == -np.inf and column in {2, 3}:
        assert skipped == 0  # exp(-inf) is 0: a box without area
        assert len(found) == 1
    elif nonsense == -np.inf and column == 4:
        assert (len(found), skipped) == (1, 0)  # far below the threshold
    else:
        assert (len(found), skipped) == (1, 1)
    assert np.isfinite(found).all()


def test_a_head_full_of_nan_is_told_from_an_empty_picture() -> None:
    broken = np.full((ROWS, 85), np.nan, np.float32)
    found, _, skipped = native.decode_yolox(broken, score_threshold=0.25, **INPUT)
    assert (found.shape, skipped) == ((0, 6), ROWS)
    empty = np.zeros((ROWS, 85), np.float32)
    found, _, skipped = native.decode_yolox(empty, score_threshold=0.25, **INPUT)
    assert (found.shape, skipped) == ((0, 6), 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_arbitrary_bits_never_yield_a_box_that_is_not_in_the_frame(seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2**32, (1, ROWS, 9), dtype=np.uint32).view(np.float32)
    found, _, _ = native.decode_yolox(bits, score_threshold=0.0, **INPUT)
    assert np.isfinite(found).all()
    assert (found[:, :4] >= 0).all()
    assert (found[:, 2] <= 128).all()
    assert (found[:, 3] <= 96).all()


@pytest.mark.parametrize(
    ("output", "change", "says"),
    [
        (np.zeros((ROWS - 1, 7), np.float32), {}, f"output has {ROWS - 1} rows, but .* gives {ROWS}"),
        (np.zeros((ROWS, 5), np.float32), {}, "at least 6, not 5"),
        (np.zeros((2, ROWS, 7), np.float32), {}, r"expected float32 \(rows, 5 \+ classes\)"),
        (np.zeros((ROWS, 7), np.float64), {}, "output is float64"),
        (np.zeros((7, ROWS), np.float32).T, {}, "C-contiguous"),
        (
            np.zeros((ROWS, 7), np.float32),
            {"input_width": 120},
            "stride 16 does not divide the input of 120x96",
        ),
        (np.zeros((ROWS, 7), np.float32), {"strides": [0]}, "stride 0 does not divide"),
        (np.zeros((ROWS, 7), np.float32), {"strides": []}, "gives 0"),
        (np.zeros((ROWS, 7), np.float32), {"score_threshold": np.nan}, "score_threshold and iou_threshold"),
        (np.zeros((ROWS, 7), np.float32), {"iou_threshold": 1.5}, "score_threshold and iou_threshold"),
        (np.zeros((ROWS, 7), np.float32), {"max_candidates": 0}, "max_candidates"),
        (np.zeros((ROWS, 7), np.float32), {"scale_x": 0.0}, "scale_x"),
        (np.zeros((ROWS, 7), np.float32), {"pad_y": np.inf}, "pad_y"),
    ],
)
def test_what_does_not_fit_is_refused(output: np.ndarray, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.decode_yolox(output, **(INPUT | {"score_threshold": 0.25} | change))
