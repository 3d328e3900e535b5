"""YuNet's head is decoded as its paper and its reference code do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detect_reference import ALL, FRAME, OVERLAPS, PLACES, THRESHOLDS, compare
from detect_reference import head as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from runtime.bundle import decoders as declared
from runtime.golden.reference import heads
from runtime.golden.reference.heads import cells

pytestmark = pytest.mark.unit

STRIDES = (8, 16, 32)


def head(seed: int, width: int, height: int) -> list[np.ndarray]:
    """Classes, objectness, boxes, landmarks, each ``[1, n, k]`` for each stride; scores also beyond 0..1."""
    rng = np.random.default_rng(seed)
    counts = [len(cells(width, height, (stride,))[0]) for stride in STRIDES]
    kinds = [(rng.uniform(-0.1, 1.1, (1, n, 1))) for _ in range(2) for n in counts]
    rest = [rng.normal(0, 0.7, (1, n, k)) for k in (4, 10) for n in counts]
    return [array.astype(np.float32) for array in kinds + rest]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    size=st.sampled_from([(128, 96), (100, 70), (8, 8)]),
    threshold=THRESHOLDS,
    overlap=OVERLAPS,
    place=PLACES,
)
def test_decoding_equals_the_reference(
    *, seed: int, size: tuple[int, int], threshold: float, overlap: float, place: dict[str, float]
) -> None:
    outputs = head(seed, *size)
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_yunet(outputs, input_width=size[0], input_height=size[1], **ALL, **limits)
    rows = heads.yunet(declared.YuNet(strides=STRIDES), outputs, reference(1, *size))
    compare(found, rows, **limits)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("part", range(3))
def test_what_is_no_number_is_counted(part: int, wrong: float) -> None:
    outputs = [np.zeros_like(array) for array in head(0, 64, 64)]
    outputs[1][0, 5] = outputs[4][0, 5] = 0.9
    outputs[3 * part + 1][0, 5, -1] = wrong
    found, _, broken = native.decode_yunet(
        outputs, input_width=64, input_height=64, score_threshold=0.5, **FRAME
    )
    assert (len(found), broken) == (0, 1)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (head(0, 64, 64)[:8], "there are 8 outputs, expected 9 or more"),
        (head(0, 96, 64), r"shape \(96, 1\), but an input of 64x64 with strides 8, 16, 32 gives \(64, 1\)"),
        ([*head(0, 64, 64)[:8], np.zeros((4,), np.float32)], r"expected float32 \(cells, values\)"),
    ],
)
def test_what_does_not_fit_is_refused(outputs: list[np.ndarray], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.decode_yunet(outputs, input_width=64, input_height=64, score_threshold=0.5, **FRAME)
