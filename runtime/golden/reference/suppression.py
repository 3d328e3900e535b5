"""Rows of a detector to detections: threshold, greedy suppression, back to the picture. In float64 NumPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.vision.placement import Placement

Floats = NDArray[Any]
Indices = NDArray[np.intp]


class Rows(NamedTuple):
    """Of every row of an output: corners in tensor pixels ``[N, 4]``, best score and its class ``[N]``."""

    boxes: Floats
    scores: Floats
    labels: Indices


class Kept(NamedTuple):
    """Best score first: corners in source pixels ``[n, 4]``, scores, classes, and which row each was."""

    boxes: Floats
    scores: Floats
    labels: Indices
    rows: Indices


def overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box ``[4]`` with each of ``[N, 4]``; 0 of boxes without an area."""
    corner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(corner, 0, None).prod(1)
    both = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    found: Floats = np.divide(shared, both - shared, out=np.zeros_like(shared), where=shared > 0)
    return found


def in_source(boxes: Floats, place: Placement) -> Floats:
    """Corners in source pixels, clipped to the picture."""
    found = boxes.astype(np.float64)
    for at, pad, scale, crop, low, high in (
        (slice(0, 4, 2), place.pad_x, place.scale_x, place.crop_x, place.frame_left, place.frame_width),
        (slice(1, 4, 2), place.pad_y, place.scale_y, place.crop_y, place.frame_top, place.frame_height),
    ):
        found[:, at] = ((found[:, at] - pad) / scale + crop).clip(low, high)
    return found


def suppressed(
    rows: Rows,
    place: Placement,
    *,
    score_threshold: float,
    iou_threshold: float,
    class_agnostic: bool = False,
    max_detections: int = 10_000,
) -> Kept:
    """What passes the threshold and lies in the picture, without what a better one of its class overlaps.

    Scores are compared as float32, which models give: one that is equal to the threshold passes. An
    ``iou_threshold`` of 1 suppresses nothing.
    """
    source = in_source(rows.boxes, place)
    visible = (source[:, 2] > source[:, 0]) & (source[:, 3] > source[:, 1])
    passes = visible & (rows.scores.astype(np.float32) >= np.float32(score_threshold))
    kept: list[int] = []
    for i in np.argsort(-rows.scores, kind="stable"):
        if len(kept) == max_detections:
            break
        if not passes[i]:
            continue
        rivals = [k for k in kept if class_agnostic or rows.labels[k] == rows.labels[i]]
        others = rows.boxes[rivals]
        if iou_threshold == 1 or not rivals or overlap(rows.boxes[i], others).max() <= iou_threshold:
            kept.append(int(i))
    return Kept(source[kept], rows.scores[kept], rows.labels[kept], np.asarray(kept, np.intp))
