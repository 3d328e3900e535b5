"""Outputs of detectors that see one thing, and how their decoders are built.

The input is 32x32. The object's box in the tensor is (8, 4, 24, 20), its class "cat", its score 0.9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from runtime.bundle import decoders as declared
from runtime.bundle.decoders import Detector
from runtime.engine import Array
from runtime.findings import Detection
from runtime.vision import decoders
from runtime.vision.decoders import Output
from runtime.vision.placement import Placement

from .decoding import HALF, context, described

LABELS = ("dog", "cat")
SURE = float(np.log(0.9 / 0.1))  # the logit of 0.9
CERTAIN = 20.0
GRID = {"strides": (8, 16)}  # 4x4 and 2x2 cells
PRIORS = np.array([[0.5, 0.5, 0.1, 0.1], [0.375, 0.5, 0.5, 0.25], [0.1, 0.1, 0.2, 0.2]], "<f4")


def zeros(*shape: int, fill: float = 0.0) -> Array:
    return np.full(shape, fill, np.float32)


def yolox() -> list[Array]:
    output = zeros(1, 20, 7)
    output[0, 5] = [1, 0.5, np.log(2), np.log(2), 0.9, 0, 1]  # line 1, column 1
    return [output]


def yolov5() -> list[Array]:
    output = zeros(1, 10, 7)
    output[0, 3] = [16, 12, 16, 16, 0.9, 0, 1]
    return [output]


def yolov5_heads(*, channels_first: bool) -> list[Array]:
    first, second = zeros(1, 1, 4, 4, 7, fill=-CERTAIN), zeros(1, 2, 2, 2, 7, fill=-CERTAIN)
    # Anchor 16x16 of stride 8, line 1, column 2: centre (2 * 0.25 - 0.5 + 2) * 8 = 16, (0.5 + 1) * 8 = 12.
    first[0, 0, 1, 2] = [np.log(1 / 3), 0, 0, 0, SURE, -CERTAIN, CERTAIN]
    heads = [first, second]
    if channels_first:
        return [
            np.ascontiguousarray(head.transpose(0, 1, 4, 2, 3)).reshape(1, -1, *head.shape[2:4])
            for head in heads
        ]
    return heads


def yolov8(*, rows: bool = False) -> list[Array]:
    output = zeros(1, 6, 10)
    output[0, :, 7] = [0.5, 0.375, 0.5, 0.5, 0.1, 0.9]
    return [np.ascontiguousarray(output.transpose(0, 2, 1))] if rows else [output]


def yolov10() -> list[Array]:
    output = zeros(1, 8, 6)
    output[0, 2] = [8, 4, 24, 20, 0.9, 1]
    return [output]


def dfl(layout: str) -> list[Array]:
    """Bins 0 to 3; from the middle of line 0, column 0 of stride 16, (8, 8): 0, 0.25, 1, 0.75 strides."""
    rows = zeros(20, 2 + 16)
    rows[16, :2] = 0.1, 0.9
    for side, distance in enumerate((0, 0.25, 1, 0.75)):
        low = int(distance)
        shares = np.full(4, 1e-12)
        shares[low : low + 2] = 1 - (distance - low) - 1e-9, distance - low + 1e-9
        rows[16, 2 + 4 * side : 6 + 4 * side] = np.log(shares)
    if layout == "rows":
        return [rows[np.newaxis]]
    levels = [rows[:16], rows[16:]]
    if layout == "split_rows":
        return [
            np.ascontiguousarray(level[np.newaxis, :, part])
            for part in (slice(0, 2), slice(2, 18))
            for level in levels
        ]
    return [
        np.ascontiguousarray(level[:, part].T.reshape(1, -1, side, side))
        for level, side in zip(levels, (4, 2), strict=True)
        for part in (slice(2, 18), slice(0, 2))
    ]


def fastestdet() -> list[Array]:
    output = zeros(1, 7, 2, 2)
    # Line 0, column 1: x = (1 + tanh 0) / 2, y = (0 + tanh v) / 2 = 0.375, half the input wide and high.
    output[0, :, 0, 1] = [0.9, 0, np.arctanh(0.75), 0, 0, 0.1, 0.9]
    return [output]


def ssd() -> list[Array]:
    boxes, scores = zeros(1, 3, 4), zeros(1, 3, 3, fill=-CERTAIN)
    boxes[0, 1] = [0, 0, 0, 5 * np.log(2)]  # the second prior, twice as wide
    scores[0, 1] = [0, -CERTAIN, SURE]
    return [boxes, scores]


def ssd_postprocessed() -> list[Array]:
    boxes, classes, scores = zeros(1, 10, 4), zeros(1, 10), zeros(1, 10)
    boxes[0, 0] = [0.125, 0.25, 0.625, 0.75]
    classes[0, 0], scores[0, 0] = 1, 0.9
    return [boxes, classes, scores, zeros(1, fill=1)]


def ultraface() -> list[Array]:
    scores, boxes = zeros(1, 12, 3), zeros(1, 12, 4)
    scores[0, 4], boxes[0, 4] = [0.1, 0, 0.9], [0.25, 0.125, 0.75, 0.625]
    return [scores, boxes]


def yunet() -> list[Array]:
    shapes = [(1, count, values) for values in (1, 1, 4, 10) for count in (16, 4)]
    outputs = [zeros(*shape) for shape in shapes]
    outputs[1][0, 2] = outputs[3][0, 2] = 0.9  # stride 16, line 1, column 0
    outputs[5][0, 2] = [1, -0.25, 0, 0]
    outputs[7][0, 2] = [0.25, -0.5, 0.5, -0.5, 0.5, -0.25, 0.25, 0, 0.5, 0]
    return outputs


HEADS = {"anchors": ((16.0, 16.0), (10.0, 13.0, 16.0, 30.0)), **GRID}
DFL = {"reg_max": 3, "cell_offset": 0.5, **GRID}
CASES: dict[str, tuple[Detector, Callable[[], list[Array]]]] = {
    "yolox": (declared.Yolox(**GRID), yolox),
    "yolov5": (declared.Yolov5(), yolov5),
    "yolov5, heads": (declared.Yolov5(**HEADS), lambda: yolov5_heads(channels_first=False)),
    "yolov5, heads, channels first": (declared.Yolov5(**HEADS), lambda: yolov5_heads(channels_first=True)),
    "yolov8": (declared.Yolov8(box_units="fraction"), yolov8),
    "yolov8, rows": (declared.Yolov8(box_units="fraction"), lambda: yolov8(rows=True)),
    "yolov10": (declared.Yolov10(), yolov10),
    "dfl, rows": (declared.Dfl(layout="rows", **DFL), lambda: dfl("rows")),
    "dfl, split rows": (declared.Dfl(layout="split_rows", **DFL), lambda: dfl("split_rows")),
    "dfl, maps": (declared.Dfl(layout="maps", **DFL), lambda: dfl("maps")),
    "fastestdet": (declared.FastestDet(), fastestdet),
    "ssd": (declared.Ssd(priors="priors.bin"), ssd),
    "ssd_postprocessed": (declared.SsdPostprocessed(), ssd_postprocessed),
    "ultraface": (declared.UltraFace(), ultraface),
    "yunet": (declared.YuNet(**GRID), yunet),
}


def labels_of(name: str) -> tuple[str, ...]:
    return ("cat",) if name == "yunet" else LABELS


def build(
    spec: declared.Decoder,
    outputs: Sequence[Output],
    labels: Sequence[str] = LABELS,
    *,
    priors: bytes = PRIORS.tobytes(),
    score_threshold: float | None = None,
) -> decoders.Decoder:
    made = context(*outputs, labels=labels, score_threshold=score_threshold)
    return decoders.build(spec, replace(made, read=lambda path: {"priors.bin": priors}[path]))


def decode(
    name: str, outputs: Sequence[Array], place: Placement = HALF, **changes: Any
) -> tuple[Detection, ...]:
    spec = CASES[name][0]
    threshold = changes.pop("user_threshold", None)
    spec = type(spec)(**{field: getattr(spec, field) for field in spec.__struct_fields__} | changes)
    built = build(spec, described(*outputs), labels_of(name), score_threshold=threshold)
    return built.decode(outputs, place).detections
