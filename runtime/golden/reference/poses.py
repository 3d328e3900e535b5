"""Keypoints: of YOLOv8-pose and YuNet beside boxes, of MoveNet instead of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from runtime.bundle import decoders as declared
from runtime.findings import Detection, Findings, Keypoint
from runtime.golden.reference.about import About, must_be_numbers
from runtime.golden.reference.heads import cells, yolov8_rows, yunet_outputs
from runtime.vision.placement import Placement

Floats = NDArray[Any]


def extra_columns(spec: declared.Decoder) -> int:
    """Columns behind the classes for keypoints."""
    if isinstance(spec, declared.Yolov8Pose):
        return len(spec.keypoints) * (3 if spec.visibility else 2)
    return 0


def with_keypoints(
    spec: declared.Yolov8Pose | declared.YuNet,
    found: Sequence[Detection],
    rows: Sequence[int] | NDArray[np.intp],
    arrays: Sequence[Floats],
    place: Placement,
    about: About,
) -> list[Detection]:
    """The detections, each with the points of its row."""
    if isinstance(spec, declared.YuNet):
        landmarks = yunet_outputs(arrays, len(spec.strides))[3].reshape(-1, 5, 2)
        cell, stride = cells(about.width, about.height, spec.strides)
        points = (landmarks + cell[:, None]) * stride[:, None, None]
        return [
            replace(one, keypoints=_points(spec.keypoints, points[row], one.score, place))
            for one, row in zip(found, rows, strict=True)
        ]
    start, count = 4 + len(about.labels), len(spec.keypoints)
    columns = start + extra_columns(spec)
    numbers = yolov8_rows(arrays[0], columns)[:, start:].reshape(-1, count, 3 if spec.visibility else 2)
    unit = (1.0, 1.0) if spec.box_units == "pixels" else (float(about.width), float(about.height))
    return [
        replace(
            one,
            keypoints=_points(
                spec.keypoints,
                numbers[row, :, :2] * unit,
                numbers[row, :, 2] if spec.visibility else one.score,
                place,
            ),
        )
        for one, row in zip(found, rows, strict=True)
    ]


def _points(
    names: Sequence[str], points: Floats, scores: Floats | float, place: Placement
) -> tuple[Keypoint, ...]:
    """``points``: ``[K, 2]``, x and y in tensor pixels."""
    each = np.broadcast_to(np.asarray(scores, np.float64), len(points))
    return tuple(
        Keypoint(name, *place.to_source(float(x), float(y)), float(score))
        for name, (x, y), score in zip(names, points, each, strict=True)
    )


def movenet(spec: declared.MoveNet, arrays: Sequence[Floats], place: Placement, about: About) -> Findings:
    """TensorFlow Hub's MoveNet: y, x, score of each keypoint as fractions, then perhaps box and score."""
    single = arrays[0].ndim == 4
    poses = arrays[0].reshape(1, -1) if single else arrays[0][0]
    poses = poses.astype(np.float64)
    if not single:
        poses = poses[~(poses[:, -1] < spec.score_threshold)]
        poses = poses[np.argsort(-poses[:, -1], kind="stable")]
    must_be_numbers(poses, about)
    size = np.array([about.width, about.height], np.float64)
    found = []
    for pose in poses:
        values = pose[: len(spec.keypoints) * 3].reshape(-1, 3)
        points = _points(spec.keypoints, values[:, [1, 0]] * size, values[:, 2], place)
        visible = [
            point for point in points if np.float32(point.score) >= np.float32(spec.keypoint_threshold)
        ]
        if single:
            score = sum(point.score for point in visible) / len(visible) if visible else 0.0
            corners = _around(visible) if visible else None
        else:
            score = float(pose[-1])
            y1, x1, y2, x2 = pose[-5:-1] * size[[1, 0, 1, 0]]
            corners = (*place.to_source(float(x1), float(y1)), *place.to_source(float(x2), float(y2)))
        box = None if corners is None else _clipped(corners, place)
        if box is not None and np.float32(score) >= np.float32(spec.score_threshold):
            found.append(Detection(about.labels[0], score, box, points))
    return Findings(detections=tuple(found))


def _around(points: Sequence[Keypoint]) -> tuple[float, float, float, float]:
    """The box around the points, a pixel wide and high at least."""
    x, y = [point.x for point in points], [point.y for point in points]
    wider, higher = max(0.0, 1 - (max(x) - min(x))) / 2, max(0.0, 1 - (max(y) - min(y))) / 2
    return min(x) - wider, min(y) - higher, max(x) + wider, max(y) + higher


def _clipped(
    box: tuple[float, float, float, float], place: Placement
) -> tuple[float, float, float, float] | None:
    x1, y1 = max(box[0], float(place.frame_left)), max(box[1], float(place.frame_top))
    x2, y2 = min(box[2], float(place.frame_width)), min(box[3], float(place.frame_height))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
