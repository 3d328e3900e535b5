"""FastestDet's head is decoded as its repository describes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detect_reference import ALL, FRAME, OVERLAPS, PLACES, compare
from detect_reference import head as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from runtime.bundle import decoders as declared
from runtime.golden.reference import heads
from runtime.golden.reference.heads import sigmoid, softmax

pytestmark = pytest.mark.unit


def head(seed: int, classes: int, lines: int, columns: int) -> np.ndarray:
    """Objectness 0..1, raw x, y, w, h, classes after a softmax: ``[5 + C, H, W]``."""
    rng = np.random.default_rng(seed)
    output = rng.normal(0, 1, (lines, columns, 5 + classes))
    output[..., 0] = sigmoid(output[..., 0])
    output[..., 5:] = softmax(output[..., 5:] * 4)
    return np.ascontiguousarray(output.transpose(2, 0, 1).astype(np.float32))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 20),
    lines=st.integers(1, 22),
    columns=st.integers(1, 22),
    threshold=st.sampled_from([0.0, 0.3, 0.65, 0.8]),
    overlap=OVERLAPS,
    place=PLACES,
)
def test_decoding_equals_the_reference(
    *,
    seed: int,
    classes: int,
    lines: int,
    columns: int,
    threshold: float,
    overlap: float,
    place: dict[str, float],
) -> None:
    output = head(seed, classes, lines, columns)
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_fastestdet(output[np.newaxis], unit_x=128.0, unit_y=96.0, **ALL, **limits)
    rows = heads.fastestdet(declared.FastestDet(), [output[np.newaxis]], reference(classes))
    compare(found, rows, **limits)


def test_class_scores_below_zero_are_no_fault() -> None:
    """A quantised softmax may come out a step below 0."""
    output = np.zeros((8, 4, 4), np.float32)
    output[:, 1, 2] = [0.9, 0, 0, 0, 0, -0.004, -0.008, -0.004]
    output[:, 2, 2] = [0.9, 0, 0, 0, 0, -0.004, 0.9, -0.004]
    _, rows, broken = native.decode_fastestdet(output, unit_x=64.0, unit_y=64.0, score_threshold=0.5, **FRAME)
    assert (rows.tolist(), broken) == ([10], 0)


@pytest.mark.parametrize("value", range(8))
def test_a_cell_that_is_no_number_is_counted(value: int) -> None:
    output = np.zeros((8, 4, 4), np.float32)
    output[:, 1, 2] = [0.9, 0, 0, 0, 0, 0.1, 0.8, 0.1]
    output[value, 1, 2] = np.nan
    found, _, broken = native.decode_fastestdet(
        output, unit_x=64.0, unit_y=64.0, score_threshold=0.5, **FRAME
    )
    assert (len(found), broken) == (0, 1)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (np.zeros((5, 4, 4), np.float32), "at least 6, not 5"),
        (np.zeros((8, 16), np.float32), r"expected float32 \(5 \+ classes, H, W\)"),
        (np.zeros((8, 4, 4), np.float16), "output is float16"),
    ],
)
def test_what_does_not_fit_is_refused(output: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.decode_fastestdet(output, unit_x=64.0, unit_y=64.0, score_threshold=0.5, **FRAME)
