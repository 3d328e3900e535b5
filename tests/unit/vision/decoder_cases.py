"""For every decoder that a manifest can declare: what a model says, and what must come out.

The picture is 64x48, the model's input 32x32, letterboxed: half the size, 4 rows of padding above. So the
point (x, y) of the tensor is (2 x, 2 (y - 4)) of the picture. Most answers are the box (8, 8, 24, 24) of the
tensor: (16, 8, 48, 40).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtime.bundle.decoders import Plugin
from runtime.engine import Array
from runtime.findings import Classified, Findings, Keypoint, Segmentation, Tensor
from runtime.vision.decoders import Context
from runtime.vision.placement import Placement

LABELS = ("thing", "other")
BOX = (16.0, 8.0, 48.0, 40.0)
SURE = 12.0  # as a logit; 1 / (1 + e^-12) is 0.999994


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def rows(count: int, columns: int, at: int, values: Sequence[float]) -> Array:
    """``[1, count, columns]``, nothing but the row ``at``."""
    output = zeros(1, count, columns)
    output[0, at] = values
    return output


@dataclass(frozen=True)
class Case:
    """A declaration, what the model says, and what must come out."""

    postprocess: Mapping[str, Any]
    answers: Mapping[str, Array]
    label: str = "other"
    score: float = 0.9
    box: tuple[float, ...] | None = BOX
    keypoints: tuple[Keypoint, ...] = ()
    expected: Findings | None = None
    """Instead of one detection."""
    labels: tuple[str, ...] = LABELS
    task: str = "detection"
    files: Mapping[str, bytes] = field(default_factory=dict)
    quantisation: Mapping[str, Any] | None = None


def single(output: Array) -> dict[str, Array]:
    return {"output": output}


def distances(reg_max: int, *, channels_last: bool) -> Array:
    """Of one cell: left and top 0, right and bottom 1 stride, as certain as a distribution can be."""
    bins = np.full((4, reg_max + 1), -50.0, np.float32)
    bins[(0, 1, 2, 3), (0, 0, 1, 1)] = 50.0
    return bins.reshape(-1) if channels_last else bins.reshape(-1, 1)


def dfl(layout: str) -> dict[str, Array]:
    """Stride 16, so 2x2 cells; the first, whose middle is (8, 8), has the box."""
    scores, boxes = zeros(4, 2), zeros(4, 8)
    scores[0] = (0.1, 0.9)
    boxes[0] = distances(1, channels_last=True)
    if layout == "rows":
        return single(np.concatenate([scores, boxes], axis=1)[np.newaxis])
    if layout == "split_rows":
        return {"scores": scores[np.newaxis], "boxes": boxes[np.newaxis]}
    return {"boxes": boxes.T.reshape(1, 8, 2, 2), "scores": scores.T.reshape(1, 2, 2, 2)}


def anchored(channels_first: bool) -> Array:
    """YOLOv5 before the sigmoid: stride 16, one anchor; cell (0, 0): centre 0.5, size 1 of the anchor."""
    cells = np.full((1, 1, 2, 2, 7), -SURE, np.float32)
    cells[0, 0, 0, 0] = (0, 0, 0, 0, SURE, -SURE, SURE)
    return cells.transpose(0, 1, 4, 2, 3).reshape(1, 7, 2, 2) if channels_first else cells


def yolov8(extra: Sequence[float] = (), unit: float = 1.0) -> Array:
    """``[1, N, 4 + C + E]`` with the box in row 17."""
    return rows(40, 6 + len(extra), 17, [16 / unit, 16 / unit, 16 / unit, 16 / unit, 0.1, 0.9, *extra])


def flipped(output: Array) -> Array:
    return np.ascontiguousarray(output.transpose(0, 2, 1))


def prototypes(*, channels_first: bool) -> Array:
    """Two of 8x8 cells of 4 pixels: the first is 1 left of the middle, the second everywhere."""
    maps = zeros(1, 2, 8, 8)
    maps[0, 0, :, :4] = 1.0
    maps[0, 1] = 1.0
    return maps if channels_first else np.ascontiguousarray(maps.transpose(0, 2, 3, 1))


def yunet() -> dict[str, Array]:
    """Stride 16: cell (0, 0), centre (1, 1) strides, size 1 stride; landmarks on corners and middle."""
    cls, obj, box, kps = zeros(1, 4, 1), zeros(1, 4, 1), zeros(1, 4, 4), zeros(1, 4, 10)
    cls[0, 0], obj[0, 0] = 0.81, 1.0
    box[0, 0] = (1, 1, 0, 0)
    kps[0, 0] = (0.5, 0.5, 1.5, 0.5, 1, 1, 0.5, 1.5, 1.5, 1.5)
    return {"cls_16": cls, "obj_16": obj, "bbox_16": box, "kps_16": kps}


def face_points() -> tuple[Keypoint, ...]:
    names = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
    places = ((16, 8), (48, 8), (32, 24), (16, 40), (48, 40))
    return tuple(Keypoint(name, x, y, 0.9) for name, (x, y) in zip(names, places, strict=True))


def faces(last: Sequence[float]) -> dict[str, Array]:
    return {"scores": rows(5, 3, 3, [0.05, 0.05, 0.9]), "boxes": rows(5, 4, 3, last)}


def ssd(scores: Sequence[float]) -> dict[str, Array]:
    answer = zeros(1, 3, len(scores))
    answer[0, 1] = scores
    return {"boxes": zeros(1, 3, 4), "scores": answer}


PRIORS = np.array([[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.5, 0.5], [0.9, 0.9, 0.1, 0.1]], "<f4").tobytes()


def classes_nchw() -> Array:
    """8x8 cells of 4 pixels: the left half is the second class, the rest the first."""
    output = zeros(1, 2, 8, 8)
    output[0, 0] = 0.5
    output[0, 1, :, :4] = 2.0
    return output


def by_rows(left: int, right: int) -> Findings:
    """A segmentation of the picture's 6 rows of 8 cells: the padding of a row above and below is cut off."""
    return _segmentation(tuple([(left, 4), (right, 4)] * 6), {left: 0.5, right: 0.5})


def _segmentation(runs: tuple[tuple[int, int], ...], shares: Mapping[int, float]) -> Findings:
    named = {LABELS[index]: share for index, share in shares.items() if index >= 0}
    return Findings(segmentation=Segmentation(box=(0, 0, 64, 48), width=8, height=6, runs=runs, shares=named))


def softmax_of(*logits: float) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def classified(*scores: float) -> Findings:
    found = sorted(zip(LABELS, scores, strict=True), key=lambda pair: -pair[1])
    return Findings(classes=tuple(Classified(label, score) for label, score in found))


POSE = ("head", "foot")
POSE_POINTS = (Keypoint("head", 16, 8, 0.8), Keypoint("foot", 48, 40, 0.6))
MIDDLE = {"decoder": "dfl", "strides": [16], "reg_max": 1, "cell_offset": 0.5}

CASES: dict[str, Case] = {
    # Cell (1, 1) of stride 8: centre (1.5, 1.5) strides less the cell, size e^log(2) strides.
    "yolox": Case(
        {"decoder": "yolox"}, single(rows(21, 7, 5, [1, 1, math.log(2), math.log(2), 0.9, 0.1, 1.0]))
    ),
    "yolov5, decoded": Case({"decoder": "yolov5"}, single(rows(9, 7, 4, [16, 16, 16, 16, 0.9, 0, 1]))),
    "yolov5, in fractions": Case(
        {"decoder": "yolov5", "box_units": "fraction"},
        single(rows(9, 7, 4, [0.5, 0.5, 0.5, 0.5, 0.9, 0, 1])),
    ),
    "yolov5, raw": Case(
        {"decoder": "yolov5", "strides": [16], "anchors": [[16, 16]]},
        single(anchored(channels_first=True)),
        score=1.0,
        box=(0, 0, 32, 24),
    ),
    "yolov5, raw, channels last": Case(
        {"decoder": "yolov5", "strides": [16], "anchors": [[16, 16]]},
        single(anchored(channels_first=False)),
        score=1.0,
        box=(0, 0, 32, 24),
    ),
    "yolov8": Case({"decoder": "yolov8"}, single(flipped(yolov8()))),
    "yolov8, rows": Case({"decoder": "yolov8"}, single(yolov8())),
    "yolov8, in fractions": Case(
        {"decoder": "yolov8", "box_units": "fraction"}, single(flipped(yolov8(unit=32)))
    ),
    "yolov8, float16": Case({"decoder": "yolov8"}, single(flipped(yolov8()).astype(np.float16))),
    "yolov8_pose": Case(
        {"decoder": "yolov8_pose", "keypoints": POSE},
        single(flipped(yolov8((8, 8, 0.8, 24, 24, 0.6)))),
        keypoints=POSE_POINTS,
        task="keypoints",
    ),
    "yolov8_pose, rows": Case(
        {"decoder": "yolov8_pose", "keypoints": POSE},
        single(yolov8((8, 8, 0.8, 24, 24, 0.6))),
        keypoints=POSE_POINTS,
        task="keypoints",
    ),
    "yolov8_pose, no visibility, in fractions": Case(
        {"decoder": "yolov8_pose", "keypoints": POSE, "visibility": False, "box_units": "fraction"},
        single(flipped(yolov8((0.25, 0.25, 0.75, 0.75), unit=32))),
        keypoints=(Keypoint("head", 16, 8, 0.9), Keypoint("foot", 48, 40, 0.9)),
        task="keypoints",
    ),
    "yolov8_seg": Case(
        {"decoder": "yolov8_seg"},
        {"rows": flipped(yolov8((4.0, -2.0))), "prototypes": prototypes(channels_first=True)},
        task="segmentation",
    ),
    "yolov8_seg, rows, prototypes last": Case(
        {"decoder": "yolov8_seg"},
        {"rows": yolov8((4.0, -2.0)), "prototypes": prototypes(channels_first=False)},
        task="segmentation",
    ),
    "yolov10": Case({"decoder": "yolov10"}, single(rows(5, 6, 2, [8, 8, 24, 24, 0.9, 1]))),
    "yolov10, in fractions": Case(
        {"decoder": "yolov10", "box_units": "fraction"},
        single(rows(5, 6, 2, [0.25, 0.25, 0.75, 0.75, 0.9, 1])),
    ),
    "dfl, rows": Case(MIDDLE | {"layout": "rows"}, dfl("rows")),
    "dfl, split_rows": Case(MIDDLE | {"layout": "split_rows"}, dfl("split_rows")),
    "dfl, maps": Case(MIDDLE | {"layout": "maps"}, dfl("maps")),
    # Cell (2, 2) of 4x4: no offset, half of the input wide and high.
    "fastestdet": Case(
        {"decoder": "fastestdet"},
        single(
            np.ascontiguousarray(
                rows(16, 7, 10, [0.9, 0, 0, 0, 0, 0.1, 0.9]).transpose(0, 2, 1).reshape(1, 7, 4, 4)
            )
        ),
    ),
    "ssd": Case(
        {"decoder": "ssd", "priors": "priors.bin", "activation": "none"},
        ssd([0.05, 0.05, 0.9]),
        files={"priors.bin": PRIORS},
    ),
    "ssd, softmax, no background": Case(
        {"decoder": "ssd", "priors": "priors.bin", "activation": "softmax", "background": False}
        | {"score_threshold": 0.6},
        ssd([0.0, math.log(9)]),
        files={"priors.bin": PRIORS},
    ),
    "ssd_postprocessed": Case(
        {"decoder": "ssd_postprocessed"},
        {
            "boxes": rows(3, 4, 0, [0.25, 0.25, 0.75, 0.75]),
            "classes": np.array([[1, 0, 0]], np.float32),
            "scores": np.array([[0.9, 0.8, 0.7]], np.float32),
            "count": np.array([1], np.float32),
        },
    ),
    "ultraface": Case({"decoder": "ultraface"}, faces([0.25, 0.25, 0.75, 0.75])),
    "yunet": Case(
        {"decoder": "yunet", "strides": [16]},
        yunet(),
        labels=("face",),
        label="face",
        keypoints=face_points(),
    ),
    "classification": Case(
        {"decoder": "classification"},
        single(np.array([[0.2, 0.8]], np.float32)),
        expected=classified(0.2, 0.8),
        task="classification",
    ),
    "classification, softmax, further dimensions": Case(
        {"decoder": "classification", "activation": "softmax"},
        single(np.array([1.0, 3.0], np.float32).reshape(1, 2, 1, 1)),
        expected=classified(*softmax_of(1, 3)),
        task="classification",
    ),
    "classification, sigmoid": Case(
        {"decoder": "classification", "activation": "sigmoid", "top_k": 1},
        single(np.array([[0.0, -2.0]], np.float32)),
        expected=Findings(classes=(Classified("thing", 0.5),)),
        task="classification",
    ),
    "classification, quantised": Case(
        {"decoder": "classification"},
        single(np.array([[64, 192]], np.uint8)),
        expected=classified(0.25, 0.75),
        task="classification",
        quantisation={"scale": 1 / 256, "zero_point": 0},
    ),
    "movenet": Case(
        {"decoder": "movenet", "keypoints": POSE},
        single(np.array([0.25, 0.25, 0.8, 0.75, 0.75, 0.6], np.float32).reshape(1, 1, 2, 3)),
        labels=("person",),
        label="person",
        score=0.7,
        keypoints=POSE_POINTS,
        task="keypoints",
    ),
    "movenet, multi-pose": Case(
        {"decoder": "movenet", "keypoints": POSE},
        single(
            rows(6, 11, 2, [0.25, 0.25, 0.8, 0.75, 0.75, 0.6, 0.25, 0.25, 0.75, 0.75, 0.9]),
        ),
        labels=("person",),
        label="person",
        keypoints=POSE_POINTS,
        task="keypoints",
    ),
    "semantic": Case(
        {"decoder": "semantic"}, single(classes_nchw()), expected=by_rows(1, 0), task="segmentation"
    ),
    "semantic, channels last": Case(
        {"decoder": "semantic", "layout": "nhwc"},
        single(np.ascontiguousarray(classes_nchw().transpose(0, 2, 3, 1))),
        expected=by_rows(1, 0),
        task="segmentation",
    ),
    "semantic, indices": Case(
        {"decoder": "semantic"},
        single(np.where(np.arange(64).reshape(1, 8, 8) % 8 < 4, 1, 255).astype(np.int64)),
        expected=by_rows(1, -1),
        task="segmentation",
    ),
    "semantic, indices of one byte": Case(
        {"decoder": "semantic"},
        single(np.where(np.arange(64).reshape(1, 8, 8) % 8 < 4, 1, 255).astype(np.uint8)),
        expected=by_rows(1, -1),
        task="segmentation",
    ),
    "semantic, one class": Case(
        {"decoder": "semantic", "activation": "sigmoid"},
        single(classes_nchw()[:, 1:] - 1),
        labels=("thing",),
        expected=by_rows(0, -1),
        task="segmentation",
    ),
    "embedding": Case(
        {"decoder": "embedding"},
        single(np.array([3.0, 4.0], np.float32).reshape(1, 2, 1, 1)),
        labels=(),
        expected=Findings(embedding=(0.6, 0.8)),
        task="embedding",
    ),
    "embedding, as it is": Case(
        {"decoder": "embedding", "normalise": False},
        single(np.array([[3.0, 4.0]], np.float16)),
        labels=(),
        expected=Findings(embedding=(3.0, 4.0)),
        task="embedding",
    ),
    "tensors": Case(
        {"decoder": "tensors"},
        {"a": np.array([[1.0, 2.0]], np.float32), "b": np.array([[7]], np.int64)},
        labels=(),
        expected=Findings(
            tensors=(
                Tensor(name="a", dtype="float32", shape=(1, 2), data=np.array([1, 2], "<f4").tobytes()),
                Tensor(name="b", dtype="int64", shape=(1, 1), data=np.array([7], "<i8").tobytes()),
            )
        ),
        task="tensors",
    ),
    "plugin": Case(
        {"decoder": "plugin", "name": "of-another", "options": {"label": "theirs"}},
        single(np.array([[0.5]], np.float32)),
        labels=(),
        expected=Findings(classes=(Classified("theirs", 0.5),)),
        task="classification",
    ),
}


class DecoderOfAnother:
    """What another package's entry point leads to."""

    def __init__(self, spec: Plugin, context: Context) -> None:
        self._label = str(spec.options["label"])

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        return Findings(classes=(Classified(self._label, outputs[0].item()),))
