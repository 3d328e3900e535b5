"""Recognises the YOLO families by the rows and columns of their heads."""

from __future__ import annotations

import re

import numpy as np

from runtime.authoring.conventions import FRACTION, RAW, Convention
from runtime.authoring.guesses import (
    NO_BOXES,
    Facts,
    Guess,
    columns,
    largest,
    off_the_grid,
    probabilities,
    units,
    whole,
)
from runtime.authoring.model_file import Output
from runtime.bundle.decoders import BoxUnits, Yolov5, Yolov8, Yolov8Pose, Yolov8Seg, Yolov10, Yolox
from runtime.engine import Array

_YOLOX = Convention("YOLOX's own demo", "letterbox_topleft", "bgr", RAW)
_ULTRALYTICS = Convention("Ultralytics' exports", "letterbox", "rgb", FRACTION)
_STRIDES = (8, 16, 32)
_PERSON = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
# A share of boxes whose second corner is not left of or above the first; corners have nearly all.
_ORDERED = 0.95
_NOTHING_SEEN = (
    "[postprocess]: the model found nothing in noise, so the decoder is known by the shape alone, and "
    'box_units is not known: "fraction" where boxes come as 0 to 1'
)
# What the maps of a YOLOv8 have beside its classes: four distances of 16 bins.
_DFL_DEPTH, _COCO = 64, 80
# YOLOv5's own for pictures of 640 pixels; YOLOv7 and retrained models have others.
_ANCHORS = (
    (10.0, 13.0, 16.0, 30.0, 33.0, 23.0),
    (30.0, 61.0, 62.0, 45.0, 59.0, 119.0),
    (116.0, 90.0, 156.0, 198.0, 373.0, 326.0),
)


def yolox_or_yolov5(facts: Facts) -> Guess | None:
    """``[1, N, 5 + C]``: one row a cell is YOLOX, three are YOLOv5 or YOLOv7."""
    output = facts.single(3)
    if output is None:
        return None
    for anchors in (1, 3):
        rows = anchors * facts.rows(*_STRIDES)
        found = columns(output, rows)
        # Without an objectness [1, 4 + C, N] is YOLOv8: its exporter puts the rows last.
        if found is None or output.shape[1] != rows or found[0] < 6:
            continue
        width, values = found
        without_objectness = anchors == 1 and facts.labels == width - 4
        if without_objectness or not probabilities(values[:, 4:]):
            continue
        return _with_objectness(facts, values, width, anchors)
    return None


def _with_objectness(facts: Facts, values: Array, width: int, anchors: int) -> Guess:
    rows = len(values)
    cells = f"{rows} rows are {'three times ' if anchors == 3 else ''}the cells of strides 8, 16, 32"
    shape = f"[1, {rows}, {width}]: {cells}, {width} = 4 + objectness + {width - 5} classes"
    stray = anchors == 1 and off_the_grid(facts, values, _STRIDES)
    decoded = largest(abs(values[:, :2])) > 16 or (anchors == 1 and not stray)
    if anchors == 1 and not decoded:
        return Guess(
            Yolox(),
            (0,),
            width - 5,
            f"{shape}; x and y are offsets in a cell, so the head is raw",
            _YOLOX,
        )
    family = "YOLOv5 or YOLOv7" if anchors == 3 else "YOLOX exported with its boxes decoded"
    return Guess(
        Yolov5(box_units=units(values[:, :4])),
        (0,),
        width - 5,
        f"{shape}; boxes come decoded, as of {family}",
        _ULTRALYTICS if anchors == 3 else _YOLOX,
        instead=(f"yolov8, with {width - 4} classes, if there is no objectness",) if anchors == 1 else (),
        unknown=(NO_BOXES,) if stray else (),
    )


def yolov5_raw(facts: Facts) -> Guess | None:
    """Three outputs ``[1, A * (5 + C), H, W]`` or ``[1, A, H, W, 5 + C]``."""
    if len(facts.outputs) != 3:
        return None
    found = {}
    depth = 0
    for output in facts.outputs:
        shape = output.shape
        if len(shape) == 5 and shape[1] == 3:
            rows, across, width = shape[2], shape[3], shape[4]
        elif len(shape) == 4 and shape[1] % 3 == 0:
            rows, across, width = shape[2], shape[3], shape[1] // 3
            depth = shape[1]
        else:
            return None
        for stride in _STRIDES:
            if (rows * stride, across * stride) == (facts.height, facts.width):
                found[stride] = (output.at, width)
    widths = {width for _, width in found.values()}
    if set(found) != set(_STRIDES) or len(widths) != 1 or (width := widths.pop()) < 6:
        return None
    if depth - _DFL_DEPTH == (facts.labels or _COCO) != width - 5:
        return None  # of a YOLOv8 that ends before its boxes, with both in one map
    others = ["tensors: if these are feature maps"] if depth else []
    if depth > _DFL_DEPTH:
        others += [
            f"tensors: {depth} may be {_DFL_DEPTH} + {depth - _DFL_DEPTH} classes of a YOLOv8 cut short"
        ]
    return Guess(
        Yolov5(anchors=_ANCHORS),
        tuple(found[stride][0] for stride in _STRIDES),
        width - 5,
        f"three grids of strides 8, 16, 32 with 3 * (5 + {width - 5}) channels: as of raw heads with anchors",
        _ULTRALYTICS,
        instead=tuple(others),
        unknown=(
            "[postprocess] anchors: these are YOLOv5's for 640 pixels; YOLOv7 and retrained models have "
            "their own, in the training's configuration. Wrong ones give boxes of wrong sizes",
        ),
    )


def yolov8(facts: Facts) -> Guess | None:
    """``[1, 4 + C, N]`` with a row for each cell; with keypoints or mask coefficients behind the classes."""
    first = next((one for one in facts.outputs if len(one.shape) == 3 and one.shape[0] == 1), None)
    rows = facts.rows(*_STRIDES)
    found = columns(first, rows) if first is not None else None
    if first is None or found is None or found[0] < 5:
        return None
    width, values = found
    size = units(values[:, :4])
    shape = f"{list(first.shape)}: {rows} rows are the cells of strides 8, 16, 32"
    if len(facts.outputs) == 2:
        return _segmenting(facts, first, width, shape, size)
    if len(facts.outputs) != 1:
        return None
    return _pose(facts, values, width, shape, size) or _plain(facts, values, shape, size)


def _plain(facts: Facts, values: Array, shape: str, size: BoxUnits) -> Guess | None:
    if not probabilities(values[:, 4:]):
        return None
    width = values.shape[1]
    stray = off_the_grid(facts, values, _STRIDES)
    why = f"{shape}, {width} = 4 + {width - 4} classes, no objectness"
    return Guess(
        Yolov8(box_units=size),
        (0,),
        width - 4,
        why,
        _ULTRALYTICS,
        instead=_instead(width),
        unknown=(NO_BOXES,) if stray else (),
    )


def _segmenting(facts: Facts, rows: Output, width: int, shape: str, size: BoxUnits) -> Guess | None:
    prototypes = next((one for one in facts.outputs if len(one.shape) == 4), None)
    if prototypes is None:
        return None
    masks = min(prototypes.shape[1], prototypes.shape[3])
    classes = width - 4 - masks
    why = f"{shape}, {width} = 4 + {classes} classes + {masks} coefficients of {masks} prototypes"
    decoder = Yolov8Seg(box_units=size)
    return Guess(decoder, (rows.at, prototypes.at), classes, why, _ULTRALYTICS) if classes > 0 else None


def _instead(width: int) -> tuple[str, ...]:
    for depth in (3, 2):
        if width > 5 and (width - 5) % depth == 0:
            points = (width - 5) // depth
            return (
                f"yolov8_pose: {width} could also be 4 + 1 class + {points} keypoints of {depth} numbers",
            )
    return ()


def _pose(facts: Facts, values: Array, width: int, shape: str, size: BoxUnits) -> Guess | None:
    """Keypoints of one class; by what the file says, or because its numbers are no class scores."""
    said = re.fullmatch(r"[\[(]([1-9]\d{0,2}), *([23])[\])]", facts.notes.get("kpt_shape", ""))
    points, depth = (int(said[1]), int(said[2])) if said else (17, 3)
    classes = width - 4 - points * depth
    if classes < 1 or (not said and (classes != 1 or probabilities(values[:, 4:]))):
        return None
    person = points == len(_PERSON)
    names = _PERSON if person else tuple(f"point_{number}" for number in range(points))
    about = (
        "the file says so (kpt_shape)" if said else "numbers behind the first score are pixels, not scores"
    )
    return Guess(
        Yolov8Pose(keypoints=names, visibility=depth == 3, box_units=size),
        (0,),
        classes,
        f"{shape}, {width} = 4 + {classes} + {points} keypoints of {depth} numbers; {about}",
        _ULTRALYTICS,
        labels=("person",) if person and classes == 1 else (),
        unknown=(
            f"[postprocess] keypoints: {'COCO names' if person else 'placeholders'}; check their order",
        ),
    )


def yolov10(facts: Facts) -> Guess | None:
    """``[1, N, 6]`` with few rows: corners, score, class."""
    output = facts.single(3)
    if output is None or output.shape[2] != 6 or output.shape[1] > 1000:
        return None
    values = output.values[0]
    if not probabilities(values[:, 4]) or not whole(values[:, 5]):
        return None
    told = values[np.abs(values).max(axis=1, initial=0.0) > 0]
    if len(told) and np.mean((told[:, 2] >= told[:, 0]) & (told[:, 3] >= told[:, 1])) < _ORDERED:
        return None  # centres and sizes, most likely, and nothing here reads these
    unknown = () if facts.labels else ("labels: how many classes there are does not stand in the outputs",)
    if not len(told):
        unknown = (*unknown, _NOTHING_SEEN)
    return Guess(
        Yolov10(box_units=units(told[:, :4]) if len(told) else "pixels"),
        (0,),
        facts.labels or None,
        f"[1, {output.shape[1]}, 6]: corners, a score of 0 to 1 and a whole number, the class",
        _ULTRALYTICS,
        unknown=unknown,
    )
