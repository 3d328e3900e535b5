"""Heads that give boxes and scores apart (SSD, UltraFace), and rows that are ready (YOLOv10)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from detect_reference import ALL, FRAME, OVERLAPS, PLACES, THRESHOLDS, compare
from detect_reference import head as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from runtime.bundle import decoders as declared
from runtime.golden.reference import heads
from runtime.golden.reference.heads import sigmoid

pytestmark = pytest.mark.unit


def made(seed: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, logits and priors."""
    rng = np.random.default_rng(seed)
    priors = rng.uniform(0.1, 0.9, (rows, 4)).astype(np.float32)
    offsets = rng.normal(0, 2, (rows, 4)).astype(np.float32)
    return offsets, rng.normal(0, 3, (rows, columns)).astype(np.float32), priors


@settings(max_examples=45, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 200),
    classes=st.integers(1, 25),
    background=st.booleans(),
    activation=st.sampled_from(["none", "sigmoid", "softmax"]),
    order=st.sampled_from(["yxhw", "xywh"]),
    scales=st.sampled_from([(10.0, 10.0, 5.0, 5.0), (1.0, 2.0, 3.0, 4.0)]),
    threshold=THRESHOLDS,
    overlap=OVERLAPS,
    place=PLACES,
)
def test_ssd_equals_the_reference(
    *,
    seed: int,
    rows: int,
    classes: int,
    background: bool,
    activation: Literal["none", "sigmoid", "softmax"],
    order: Literal["yxhw", "xywh"],
    scales: tuple[float, float, float, float],
    threshold: float,
    overlap: float,
    place: dict[str, float],
) -> None:
    offsets, logits, priors = made(seed, rows, classes + background)
    if activation == "none":
        logits = sigmoid(logits).astype(np.float32)
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_ssd(
        offsets[np.newaxis],
        logits[np.newaxis],
        priors,
        background=background,
        activation=activation,
        order=order,
        scales=scales,
        unit_x=128.0,
        unit_y=96.0,
        **ALL,
        **limits,
    )
    spec = declared.Ssd(
        priors="priors.bin", order=order, scales=scales, background=background, activation=activation
    )
    outputs = [offsets[np.newaxis], logits[np.newaxis]]
    compare(found, heads.ssd(spec, outputs, reference(classes, priors=priors)), **limits)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 300),
    classes=st.integers(1, 4),
    background=st.booleans(),
    threshold=THRESHOLDS,
    overlap=OVERLAPS,
    place=PLACES,
)
def test_corners_equal_the_reference(
    *,
    seed: int,
    rows: int,
    classes: int,
    background: bool,
    threshold: float,
    overlap: float,
    place: dict[str, float],
) -> None:
    rng = np.random.default_rng(seed)
    first = rng.random((rows, 2), dtype=np.float32)
    boxes = np.hstack([first, first + rng.random((rows, 2), dtype=np.float32) / 2])
    scores = rng.random((rows, classes + background), dtype=np.float32)
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_corners(
        boxes, scores, background=background, unit_x=128.0, unit_y=96.0, **ALL, **limits
    )
    # UltraFace's first score is the background's.
    faces = scores if background else np.column_stack([np.zeros(rows, np.float32), scores])
    outputs = [faces[np.newaxis], boxes[np.newaxis]]
    compare(found, heads.ultraface(declared.UltraFace(), outputs, reference(classes)), **limits)

    label = rng.integers(-3, 1000, rows)
    ready = np.column_stack([boxes, scores.max(1), label]).astype(np.float32)
    found = native.decode_rows(ready, unit_x=128.0, unit_y=96.0, **ALL, **limits)
    spec = declared.Yolov10(box_units="fraction")
    compare(found, heads.yolov10(spec, [ready[np.newaxis]], reference(classes)), **limits)


@pytest.mark.parametrize("activation", ["none", "sigmoid", "softmax"])
@pytest.mark.parametrize("nonsense", [np.nan, np.inf])
def test_ssd_counts_what_is_no_number(activation: str, nonsense: float) -> None:
    offsets, logits, priors = np.zeros((9, 4)), np.zeros((9, 3)), np.full((9, 4), 0.5)
    logits[:, 0] = 9.0  # nothing seen
    logits[2, 1] = logits[3, 2] = nonsense
    offsets[4, 1] = nonsense
    logits[5] = 0, 9, 0
    offsets[5, 2] = nonsense
    arrays = [array.astype(np.float32) for array in (offsets, logits, priors)]
    found, _, broken = native.decode_ssd(
        *arrays, activation=activation, score_threshold=0.8, unit_x=64.0, unit_y=64.0, **FRAME
    )
    assert (len(found), broken) == (0, 3)


@pytest.mark.parametrize(
    ("value", "nonsense", "counted"),
    [(0, np.nan, 1), (4, np.nan, 1), (5, np.nan, 1), (5, np.inf, 1), (5, 1e20, 1), (4, -np.inf, 0)],
)
def test_a_ready_row_that_is_no_number_is_counted(value: int, nonsense: float, counted: int) -> None:
    rows = np.array([[1, 2, 3, 4, 0.9, 1], [9, 9, 12, 12, 0.8, 0]], np.float32)
    rows[0, value] = nonsense
    found, _, broken = native.decode_rows(rows, score_threshold=0.5, **FRAME)
    assert (len(found), broken) == (1, counted)


SSD: dict[str, Any] = {"score_threshold": 0.5, "unit_x": 64.0, "unit_y": 64.0, **FRAME}


@pytest.mark.parametrize(
    ("shapes", "change", "says"),
    [
        (((9, 4), (8, 3), (9, 4)), {}, r"boxes \(9, 4\) and scores \(8, 3\) do not fit"),
        (((9, 5), (9, 3), (9, 4)), {}, r"expected \(N, 4\) and \(N, 1 \+ classes\)"),
        (((9, 4), (9, 1), (9, 4)), {}, r"expected \(N, 4\) and \(N, 1 \+ classes\)"),
        (((9, 4), (9, 3), (8, 4)), {}, "8 priors for 9 boxes"),
        (((9, 4), (9, 3), (9, 4)), {"scales": (1.0, 0.0, 1.0, 1.0)}, "scales"),
        (((9, 4), (9, 3), (9, 4)), {"order": "hwyx"}, "order must be one of yxhw, xywh"),
        (((9, 4), (9, 3), (9, 4)), {"activation": "relu"}, "activation must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(
    shapes: tuple[tuple[int, ...], ...], change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        native.decode_ssd(*(np.zeros(shape, np.float32) for shape in shapes), **(SSD | change))
