"""What decoders of detectors must give, in float64 NumPy, written from the papers alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[Any]
Rows = tuple[Floats, Floats, NDArray[np.intp]]
"""Corners in tensor pixels, best score and its class of every row of an output."""

FRAME = {"frame_width": 128.0, "frame_height": 96.0}
# A letterbox in a larger frame, and one of a part of it.
LETTERBOX = {
    "scale_x": 0.3,
    "scale_y": 0.3,
    "pad_x": 5.0,
    "pad_y": 11.0,
    "frame_width": 400.0,
    "frame_height": 300.0,
}
CROP = {**LETTERBOX, "scale_y": 0.31, "crop_x": 40.0, "crop_y": 7.0}
# The reference keeps all that pass.
ALL: dict[str, Any] = {"max_detections": 10_000, "max_candidates": 10_000}
PLACES = st.sampled_from([FRAME, LETTERBOX, CROP])
THRESHOLDS = st.sampled_from([0.0, 0.05, 0.3, 0.7, 0.95])
OVERLAPS = st.sampled_from([0.0, 0.3, 0.45, 0.65, 1.0])


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def softmax(x: Floats) -> Floats:
    e = np.exp(np.asarray(x, np.float64) - np.max(x, axis=-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def around(x: Floats, y: Floats, width: Floats, height: Floats) -> Floats:
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)


def cells(width: int, height: int, strides: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Column and line of every cell of grids that cover the input ``[N, 2]``, and its stride ``[N]``."""
    found, steps = [], []
    for stride in strides:
        lines, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[:lines, :columns]
        found.append(np.stack([x.ravel(), y.ravel()], 1))
        steps.append(np.full(lines * columns, stride))
    return np.concatenate(found).astype(np.float64), np.concatenate(steps).astype(np.float64)


def best(scores: Floats) -> tuple[Floats, NDArray[np.intp]]:
    return scores.max(1), scores.argmax(1)


def overlap(box: Floats, others: Floats) -> Floats:
    corner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(corner, 0, None).prod(1)
    both = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    return np.divide(shared, both - shared, out=np.zeros_like(shared), where=shared > 0)


def expected(
    rows: Rows, *, score_threshold: float, iou_threshold: float, class_agnostic: bool = False, **place: float
) -> tuple[Floats, NDArray[np.intp]]:
    """Boxes ``[n, 6]`` in the frame, and the row of each: greedy suppression, then back to the source."""
    boxes, scores, labels = rows
    source = boxes.astype(np.float64)
    for axis, side, at in (("x", "width", slice(0, 4, 2)), ("y", "height", slice(1, 4, 2))):
        scale, pad = place.get(f"scale_{axis}", 1.0), place.get(f"pad_{axis}", 0.0)
        led = (source[:, at] - pad) / scale + place.get(f"crop_{axis}", 0.0)
        source[:, at] = led.clip(0, place[f"frame_{side}"])
    visible = (source[:, 2] > source[:, 0]) & (source[:, 3] > source[:, 1])
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] < score_threshold or not visible[i]:
            continue
        rivals = [k for k in kept if class_agnostic or labels[k] == labels[i]]
        if iou_threshold == 1 or not rivals or overlap(boxes[i], boxes[rivals]).max() <= iou_threshold:
            kept.append(int(i))
    return np.column_stack([source[kept], scores[kept], labels[kept]]), np.array(kept, np.intp)


def compare(found: tuple[Floats, Floats, int], rows: Rows, **limits: Any) -> None:
    """What native code found is what must come out; nothing in it is broken."""
    boxes, numbers = expected(rows, **limits)
    assert found[2] == 0
    assert found[0].dtype == np.float32
    assert found[1].dtype == np.int32
    assert (np.diff(found[0][:, 4]) <= 0).all()
    # Scores that float32 makes equal may change places: compare row by row.
    mine, theirs = np.argsort(found[1]), np.argsort(numbers)
    np.testing.assert_array_equal(found[1][mine], numbers[theirs])
    np.testing.assert_allclose(found[0][mine], boxes[theirs], rtol=1e-5, atol=2e-3)
