"""YOLOv5's and YOLOv7's rows, and their raw heads, are decoded as their repositories do."""

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
from runtime.golden.reference import heads as decoded

pytestmark = pytest.mark.unit

STRIDES = (8, 16)
SIZE = {"input_width": 64, "input_height": 48, "strides": STRIDES}
ANCHORS = [[10.0, 13.0, 16.0, 30.0, 33.0, 23.0], [30.0, 61.0, 62.0, 45.0, 59.0, 119.0]]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(0, 300),
    classes=st.integers(1, 20),
    threshold=THRESHOLDS,
    overlap=OVERLAPS,
    place=PLACES,
)
def test_decoded_rows_equal_the_reference(
    *, seed: int, rows: int, classes: int, threshold: float, overlap: float, place: dict[str, float]
) -> None:
    rng = np.random.default_rng(seed)
    output = rng.random((1, rows, 5 + classes), dtype=np.float32)
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_yolov5(output, unit_x=128.0, unit_y=96.0, **ALL, **limits)
    compare(
        found, decoded.yolov5(declared.Yolov5(box_units="fraction"), [output], reference(classes)), **limits
    )


def heads(seed: int, classes: int) -> list[np.ndarray]:
    """Raw heads ``[A, H, W, 5 + C]``, of which some cells see something."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, 2, (3, 48 // stride, 64 // stride, 5 + classes)).astype(np.float32)
        for stride in STRIDES
    ]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 8),
    threshold=THRESHOLDS,
    overlap=OVERLAPS,
    place=PLACES,
    channels_first=st.booleans(),
)
def test_raw_heads_of_both_layouts_equal_the_reference(
    *,
    seed: int,
    classes: int,
    threshold: float,
    overlap: float,
    place: dict[str, float],
    channels_first: bool,
) -> None:
    raw = heads(seed, classes)
    outputs = raw
    if channels_first:
        outputs = [
            np.ascontiguousarray(head.transpose(0, 3, 1, 2)).reshape(1, -1, *head.shape[1:3]) for head in raw
        ]
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_yolov5_heads(
        outputs, anchors=ANCHORS, channels_first=channels_first, **SIZE, **ALL, **limits
    )
    spec = declared.Yolov5(strides=STRIDES, anchors=tuple(map(tuple, ANCHORS)))
    given = outputs if channels_first else [head[np.newaxis] for head in raw]
    compare(found, decoded.yolov5(spec, given, reference(classes, 64, 48)), **limits)


@pytest.mark.parametrize("value", range(7))
def test_a_head_s_cell_that_is_no_number_is_counted(value: int) -> None:
    raw = [np.full_like(head, -9) for head in heads(0, 2)]
    raw[1][2, 1, 3] = [0, 0, 0, 0, 5, 5, -5]
    raw[1][2, 1, 3, value] = np.nan
    found, _, broken = native.decode_yolov5_heads(
        raw, anchors=ANCHORS, channels_first=False, score_threshold=0.3, **SIZE, **FRAME
    )
    assert (len(found), broken) == (0, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"anchors": ANCHORS[:1]}, "one output and one row of anchors for each of the 2 strides"),
        ({"anchors": [[10.0], [3.0, 4.0]]}, "pairs of width and height"),
        ({"anchors": [[10.0, 10.0], [3.0, 4.0]]}, "does not fit 1 anchors on a grid of 8x6 cells"),
        ({"input_width": 128}, "does not fit 3 anchors on a grid of 16x6"),
        ({"input_width": 60}, "stride 8 does not divide the input of 60x48"),
        ({"channels_first": True}, r"expected float32 \(anchors \* \(5 \+ classes\), H, W\)"),
    ],
)
def test_heads_that_do_not_fit_are_refused(change: dict[str, Any], says: str) -> None:
    arguments: dict[str, Any] = {"anchors": ANCHORS, "channels_first": False, "score_threshold": 0.3}
    with pytest.raises(ValueError, match=says):
        native.decode_yolov5_heads(heads(0, 2), **(SIZE | FRAME | arguments | change))
