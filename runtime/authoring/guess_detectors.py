"""Recognises detectors beside the YOLO families, and faces, poses."""

from __future__ import annotations

import re

import numpy as np

from runtime.authoring import conventions
from runtime.authoring.conventions import Convention
from runtime.authoring.guesses import (
    Facts,
    Guess,
    by_shape,
    cells,
    columns,
    largest,
    probabilities,
    sums_to_one,
    whole,
)
from runtime.bundle.decoders import Dfl, FastestDet, MoveNet, SsdPostprocessed, Tensors, UltraFace, YuNet

_FASTESTDET = Convention("FastestDet's own script", "stretch", "bgr", conventions.FRACTION)
_NANODET = Convention("NanoDet's own demo", "stretch", "bgr", conventions.NANODET)
_PICODET = Convention("PaddleDetection's PicoDet", "stretch", "rgb", conventions.TORCHVISION)
_TENSORFLOW = Convention("TensorFlow Lite's detectors", "stretch", "rgb", conventions.CENTRED)
_ULTRAFACE = Convention("UltraFace's own demo", "stretch", "rgb", conventions.ULTRAFACE)
_YUNET = Convention("OpenCV's YuNet", "letterbox_topleft", "bgr", conventions.RAW, pad=(0.0, 0.0, 0.0))
_MOVENET = Convention("MoveNet's tutorial", "letterbox", "rgb", conventions.RAW, pad=(0.0, 0.0, 0.0))
_FRACTIONS = 4  # beyond it boxes are no fractions of the picture
_SSD_UNKNOWN: tuple[str, ...] = (
    "labels: how many classes there are does not stand in the outputs",
    "[postprocess] label_offset: 1 where the label file begins with a background ('???') that the model does "
    "not count. A dog called by the class before it is the sign of a wrong one",
)
_BODY = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)


def fastestdet(facts: Facts) -> Guess | None:
    """``[1, 5 + C, H, W]`` whose class scores of each cell are a softmax."""
    output = facts.single(4)
    if output is None or output.shape[1] < 7:
        return None
    _, depth, rows, across = output.shape
    values = output.values[0]
    grids = [(facts.height // stride, facts.width // stride) for stride in (8, 16, 32)]
    if (rows, across) not in grids or not (sums_to_one(values[5:], 0) and probabilities(values[0])):
        return None
    return Guess(
        FastestDet(),
        (0,),
        depth - 5,
        f"[1, {depth}, {rows}, {across}]: in each cell {depth - 5} scores that sum up to 1, an objectness of "
        "0 to 1 before them",
        _FASTESTDET,
        instead=("semantic: if these are classes of pixels",),
    )


def dfl_rows(facts: Facts) -> Guess | None:
    """NanoDet-Plus: ``[1, N, C + 4 * (reg_max + 1)]`` with strides 8 to 64."""
    output = facts.single(3)
    if output is None:
        return None
    found = columns(output, facts.rows(8, 16, 32, 64))
    if found is None or output.shape[1] != facts.rows(8, 16, 32, 64):
        return None
    width, values = found
    for reg_max in (7, 15):
        classes = width - 4 * (reg_max + 1)
        if classes > 0 and probabilities(values[:, :classes]):
            rows = output.shape[1]
            why = (
                f"[1, {rows}, {width}]: the cells of strides 8 to 64, {width} = {classes} + 4 * {reg_max + 1}"
            )
            return Guess(Dfl(reg_max=reg_max), (0,), classes, why, _NANODET)
    return None


def dfl_split(facts: Facts) -> Guess | None:
    """PicoDet: class scores of each stride, then distances of each."""
    strides = (8, 16, 32, 64)
    if len(facts.outputs) != 8 or any(len(one.shape) != 3 for one in facts.outputs):
        return None
    widths = {one.shape[2] for one in facts.outputs}
    reg = next((width for width in (32, 64) if width in widths), 0)
    classes = widths - {reg}
    if not reg or len(classes) > 1:
        return None
    number = classes.pop() if classes else reg
    scores, boxes = by_shape(facts.outputs, number), by_shape(facts.outputs, reg)
    if number == reg:
        scores, boxes = scores[0::2], scores[1::2]
    wanted = [cells(facts, stride) for stride in strides]
    if any([facts.outputs[at].shape[1] for at in part] != wanted for part in (scores, boxes)):
        return None
    sigmoid = all(probabilities(facts.outputs[at].values) for at in scores)
    return Guess(
        Dfl(
            layout="split_rows",
            reg_max=reg // 4 - 1,
            cell_offset=0.5,
            activation="none" if sigmoid else "sigmoid",
        ),
        (*scores, *boxes),
        number,
        f"scores [1, n, {number}] and distances [1, n, {reg}] for the cells of strides 8 to 64: PicoDet",
        _PICODET,
    )


def dfl_maps(facts: Facts) -> Guess | None:
    """YOLOv8 cut before its decoder: for each stride distances, then class scores, as maps."""
    strides = (8, 16, 32)
    if len(facts.outputs) != 6 or any(len(one.shape) != 4 for one in facts.outputs):
        return None
    order: list[int] = []
    classes = set()
    for stride in strides:
        grid = (facts.height // stride, facts.width // stride)
        pair = [at for at, one in enumerate(facts.outputs) if one.shape[2:] == grid]
        boxes = [at for at in pair if facts.outputs[at].shape[1] == 64]
        rest = [at for at in pair if at not in boxes[:1]]
        if len(pair) != 2 or not boxes:
            return None
        order += [boxes[0], rest[0]]
        classes.add(facts.outputs[rest[0]].shape[1])
    if len(classes) != 1:
        return None
    sigmoid = all(probabilities(facts.outputs[at].values) for at in order[1::2])
    number = classes.pop()
    return Guess(
        Dfl(
            layout="maps",
            strides=strides,
            reg_max=15,
            cell_offset=0.5,
            activation="none" if sigmoid else "sigmoid",
        ),
        tuple(order),
        number,
        f"maps of strides 8, 16, 32 with 64 and {number} channels: YOLOv8 cut before its decoder",
        Convention("Ultralytics' exports", "letterbox", "rgb", conventions.FRACTION),
    )


def ssd_postprocessed(facts: Facts) -> Guess | None:
    """Boxes ``[1, N, 4]``, classes ``[1, N]``, scores ``[1, N]``, count ``[1]``; known by their values."""
    if len(facts.outputs) != 4:
        return None
    boxes = [at for at, one in enumerate(facts.outputs) if len(one.shape) == 3 and one.shape[2] == 4]
    counts = [at for at, one in enumerate(facts.outputs) if one.values.size == 1]
    lists = [at for at, one in enumerate(facts.outputs) if len(one.shape) == 2 and at not in counts]
    if (len(boxes), len(counts), len(lists)) != (1, 1, 2):
        return None
    if largest(np.abs(facts.outputs[boxes[0]].values)) > _FRACTIONS:
        return None  # pixels: post-processing of another kind
    classes = [at for at in lists if whole(facts.outputs[at].values)]
    unknown = _SSD_UNKNOWN
    scores = [at for at in lists if at not in classes]
    if len(classes) != 1:
        # Noise in which nothing is seen: the order of TensorFlow's own names.
        classes, scores = lists[:1], lists[1:]
        unknown = (*unknown, "[[variant]] output: which is the list of classes, and which of scores")
    if "producer" in facts.notes:
        # The operator of TensorFlow Lite has one order; a graph of ONNX may have another.
        unknown = (*unknown, "[postprocess]: boxes are read as y1, x1, y2, x2; others come out mirrored")
    return Guess(
        SsdPostprocessed(),
        (boxes[0], classes[0], scores[0], counts[0]),
        None,
        "boxes [1, N, 4], whole numbers [1, N], scores [1, N] and a count: post-processing in the graph",
        _TENSORFLOW,
        unknown=unknown,
    )


def faces_or_raw_ssd(facts: Facts) -> Guess | None:
    """Scores ``[1, N, 1 + C]`` and boxes ``[1, N, 4]``: corners are UltraFace, offsets an SSD with priors."""
    if len(facts.outputs) != 2 or any(len(one.shape) != 3 for one in facts.outputs):
        return None
    boxes = [at for at, one in enumerate(facts.outputs) if one.shape[2] == 4]
    if not boxes or facts.outputs[0].shape[1] != facts.outputs[1].shape[1]:
        return None
    at = next((one for one in boxes if not probabilities(facts.outputs[one].values)), boxes[0])
    other = 1 - at
    classes, rows = facts.outputs[other].shape[2], facts.outputs[at].shape[1]
    corners = facts.outputs[at].values[0]
    ordered = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    if (
        ordered.size
        and ordered.mean() > 0.99
        and largest(np.abs(corners)) < 4
        and sums_to_one(facts.outputs[other].values, 2)
    ):
        faces = classes == 2
        return Guess(
            UltraFace(),
            (other, at),
            classes - 1,
            f"scores [1, {rows}, {classes}] that sum up to 1, the background first, and boxes [1, {rows}, 4] "
            "that are corners as fractions",
            _ULTRAFACE,
            labels=("face",) if faces else (),
            unknown=("labels: 'face' is what models of this form usually find",) if faces else (),
        )
    return Guess(
        Tensors(),
        (other, at),
        0,
        f"scores [1, {rows}, {classes}] and [1, {rows}, 4] that are no corners as fractions with scores "
        "that sum up to 1: perhaps an SSD's raw offsets",
        _TENSORFLOW,
        instead=(f'ssd with priors = "FILE": the {rows} priors, which do not stand in the model file',),
        unknown=(
            f"of an SSD the priors: write the {rows} boxes that the model was trained with into a file "
            '(docs/ref/decoders.md, ssd), name it in a [[file]], and use decoder = "ssd"; until then the '
            "numbers come out as they are",
        ),
    )


def yunet(facts: Facts) -> Guess | None:
    """Twelve outputs: classes, objectness, boxes and landmarks of strides 8, 16, 32."""
    wanted = [cells(facts, stride) for stride in (8, 16, 32)]
    ones, boxes, points = (by_shape(facts.outputs, last) for last in (1, 4, 10))
    if len(facts.outputs) != 12 or [len(ones), len(boxes), len(points)] != [6, 3, 3]:
        return None
    if any([facts.outputs[at].shape[1] for at in part] != wanted for part in (boxes, points)):
        return None
    # Of each size one is the class score, the other the objectness, which is lower on noise.
    pairs = [
        sorted(ones[at : at + 2], key=lambda one: _kind(facts.outputs[one].name, one)) for at in (0, 2, 4)
    ]
    named = all(re.search("cls|obj", facts.outputs[at].name, re.IGNORECASE) for at in ones)
    unknown = () if named else ("the order of class scores and objectness: by the file's order",)
    return Guess(
        YuNet(),
        (*(pair[0] for pair in pairs), *(pair[1] for pair in pairs), *boxes, *points),
        1,
        "three each of [1, n, 1] twice, [1, n, 4] and [1, n, 10] for the cells of strides 8, 16, 32",
        _YUNET,
        labels=("face",),
        unknown=unknown,
    )


def _kind(name: str, index: int) -> tuple[int, int]:
    return (1 if "obj" in name.lower() else 0, index)


def movenet(facts: Facts) -> Guess | None:
    """``[1, 1, 17, 3]``, or ``[1, 6, 56]`` for several people."""
    if len(facts.outputs) != 1:
        return None
    shape = facts.outputs[0].shape
    if shape not in {(1, 1, 17, 3), (1, 6, 56)}:
        return None
    people = "one person" if len(shape) == 4 else "six people"
    why = f"{list(shape)}: 17 keypoints of y, x, score, {people}"
    return Guess(MoveNet(keypoints=_BODY), (0,), 1, why, _MOVENET, labels=("person",))
