"""The heads of detectors, decoded as their papers and repositories tell: one function a decoder.

Each takes its declaration, the outputs of one picture with their leading 1, and what the head must know of
the model, and gives the corners in tensor pixels, the best score and its class, of every row. In float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import decoders as declared
from runtime.golden.reference.suppression import Rows

Floats = NDArray[Any]


class Head(NamedTuple):
    """Number of labels, the input's width and height in pixels, and how a file of the bundle is read."""

    classes: int
    width: int
    height: int
    read: Callable[[str], bytes]


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x)."""
    with np.errstate(over="ignore"):
        found: Floats = 1 / (1 + np.exp(-np.asarray(x, np.float64)))
    return found


def softmax(x: Floats) -> Floats:
    """Over the last axis."""
    e = np.exp(np.asarray(x, np.float64) - np.max(x, axis=-1, keepdims=True))
    found: Floats = e / e.sum(-1, keepdims=True)
    return found


def activated(x: Floats, activation: str) -> Floats:
    """``none``, ``sigmoid`` or ``softmax`` of ``x``, in float64."""
    if activation == "sigmoid":
        return sigmoid(x)
    return softmax(x) if activation == "softmax" else np.asarray(x, np.float64)


def around(x: Floats, y: Floats, width: Floats, height: Floats) -> Floats:
    """Corners ``[N, 4]`` from centres and sizes ``[N]``."""
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)


def cells(width: int, height: int, strides: Sequence[int]) -> tuple[Floats, Floats]:
    """Column and line of every cell of grids that cover the input ``[N, 2]``, and its stride ``[N]``."""
    found, steps = [], []
    for stride in strides:
        lines, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[:lines, :columns]
        found.append(np.stack([x.ravel(), y.ravel()], 1))
        steps.append(np.full(lines * columns, stride))
    return np.concatenate(found).astype(np.float64), np.concatenate(steps).astype(np.float64)


def best(scores: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """The best score of each row ``[N, C]``, and its class."""
    if not len(scores):
        return np.empty(0), np.empty(0, np.intp)
    return scores.max(1), scores.argmax(1)


def _unit(spec: declared.Decoder, head: Head) -> tuple[float, float]:
    in_pixels = getattr(spec, "box_units", "fraction") == "pixels"
    return (1.0, 1.0) if in_pixels else (float(head.width), float(head.height))


def _corners(boxes: Floats, unit: tuple[float, float]) -> Floats:
    """Corners in tensor pixels from corners in units."""
    return np.asarray(boxes, np.float64) * (unit * 2)


def yolox(spec: declared.Yolox, outputs: Sequence[Floats], head: Head) -> Rows:
    """Ge et al. 2021, ``decode_outputs`` of the repository."""
    row = outputs[0][0].astype(np.float64)
    cell, stride = cells(head.width, head.height, spec.strides)
    x, y = ((row[:, :2] + cell) * stride[:, None]).T
    width, height = (np.exp(row[:, 2:4]) * stride[:, None]).T
    scores, labels = best(row[:, 5:])
    return Rows(around(x, y, width, height), row[:, 4] * scores, labels)


def yolov5(spec: declared.Yolov5, outputs: Sequence[Floats], head: Head) -> Rows:
    """Ultralytics; Wang et al. 2022, section "Coordinates" for raw heads, anchor by anchor, line by line."""
    if not spec.anchors:
        row = outputs[0][0].astype(np.float64)
        across, down = _unit(spec, head)
        boxes = around(row[:, 0] * across, row[:, 1] * down, row[:, 2] * across, row[:, 3] * down)
        return Rows(boxes, *best(row[:, 5:] * row[:, 4:5]))
    found = []
    for output, stride, pairs in zip(outputs, spec.strides, spec.anchors, strict=False):
        anchors = np.reshape(pairs, (-1, 2))
        if output.ndim == 4:
            _, _, lines, columns = output.shape
            maps = output.reshape(len(anchors), 5 + head.classes, lines, columns).transpose(0, 2, 3, 1)
        else:
            maps = output[0]
        for one, (width, height) in zip(maps, anchors, strict=True):
            s = sigmoid(one).reshape(-1, one.shape[-1])
            line, column = np.divmod(np.arange(len(s)), one.shape[1])
            x, y = (2 * s[:, 0] - 0.5 + column) * stride, (2 * s[:, 1] - 0.5 + line) * stride
            boxes = around(x, y, (2 * s[:, 2]) ** 2 * width, (2 * s[:, 3]) ** 2 * height)
            found.append(Rows(boxes, *best(s[:, 5:] * s[:, 4:5])))
    boxes, scores, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    return Rows(boxes, scores, labels)


def yolov8_rows(output: Floats, columns: int) -> Floats:
    """``[N, columns]`` from ``[1, columns, N]`` or ``[1, N, columns]``."""
    rows: Floats = output[0].T if output.shape[1] == columns else output[0]
    return rows.astype(np.float64)


def yolov8(
    spec: declared.Yolov8 | declared.Yolov8Pose | declared.Yolov8Seg,
    outputs: Sequence[Floats],
    head: Head,
    extra: int = 0,
) -> Rows:
    """Ultralytics; ``extra`` columns stand behind the classes."""
    row = yolov8_rows(outputs[0], 4 + head.classes + extra)
    across, down = _unit(spec, head)
    boxes = around(row[:, 0] * across, row[:, 1] * down, row[:, 2] * across, row[:, 3] * down)
    return Rows(boxes, *best(row[:, 4 : 4 + head.classes]))


def yolov10(spec: declared.Yolov10, outputs: Sequence[Floats], head: Head) -> Rows:
    """Wang et al. 2024: rows that are ready."""
    row = outputs[0][0].astype(np.float64)
    return Rows(_corners(row[:, :4], _unit(spec, head)), row[:, 4], _whole(row[:, 5]))


def dfl(spec: declared.Dfl, outputs: Sequence[Floats], head: Head) -> Rows:
    """Li et al. 2020, equation 5: a distance is the mean of its distribution."""
    levels = len(spec.strides)
    if spec.layout == "rows":
        scores, sides = np.split(outputs[0][0], [head.classes], axis=1)
    elif spec.layout == "split_rows":
        scores = np.concatenate([output[0] for output in outputs[:levels]])
        sides = np.concatenate([output[0] for output in outputs[levels : 2 * levels]])
    else:
        flat = [output[0].reshape(output.shape[1], -1).T for output in outputs[: 2 * levels]]
        sides, scores = np.concatenate(flat[::2]), np.concatenate(flat[1::2])
    cell, stride = cells(head.width, head.height, spec.strides)
    bins = spec.reg_max + 1
    distance = softmax(sides.reshape(-1, 4, bins)) @ np.arange(bins) * stride[:, None]
    place = (cell + spec.cell_offset) * stride[:, None]
    boxes = np.hstack([place - distance[:, :2], place + distance[:, 2:]])
    return Rows(boxes, *best(sigmoid(scores) if spec.activation == "sigmoid" else scores.astype(np.float64)))


def fastestdet(spec: declared.FastestDet, outputs: Sequence[Floats], head: Head) -> Rows:  # noqa: ARG001
    """The repository's ``handle_preds``: a cell a row."""
    _, values, lines, columns = outputs[0].shape
    row = outputs[0].reshape(values, -1).T.astype(np.float64)
    line, column = np.divmod(np.arange(lines * columns), columns)
    x = (column + np.tanh(row[:, 1])) / columns * head.width
    y = (line + np.tanh(row[:, 2])) / lines * head.height
    boxes = around(x, y, sigmoid(row[:, 3]) * head.width, sigmoid(row[:, 4]) * head.height)
    scores, labels = best(row[:, 5:])
    # Scores a step below 0 come out of quantised models: no power of those is a number.
    return Rows(boxes, np.maximum(row[:, 0], 0) ** 0.6 * np.maximum(scores, 0) ** 0.4, labels)


def ssd(spec: declared.Ssd, outputs: Sequence[Floats], head: Head) -> Rows:
    """Liu et al. 2016, section 2.2, as TensorFlow's box coder has it."""
    priors = np.frombuffer(head.read(spec.priors), "<f4").reshape(-1, 4).astype(np.float64)
    y, x, height, width = priors.T
    offsets = outputs[0][0].astype(np.float64)
    ty, tx, th, tw = (offsets if spec.order == "yxhw" else offsets[:, [1, 0, 3, 2]]).T / np.reshape(
        spec.scales, (4, 1)
    )
    boxes = around(
        (tx * width + x) * head.width,
        (ty * height + y) * head.height,
        np.exp(tw) * width * head.width,
        np.exp(th) * height * head.height,
    )
    scores = activated(outputs[1][0], spec.activation)
    return Rows(boxes, *best(scores[:, int(spec.background) :]))


def ssd_postprocessed(spec: declared.SsdPostprocessed, outputs: Sequence[Floats], head: Head) -> Rows:
    """TensorFlow's ``TFLite_Detection_PostProcess``: y1, x1, y2, x2; classes; scores; count."""
    boxes, classes, scores, counted = (np.asarray(output[0], np.float64) for output in outputs[:4])
    count = counted.reshape(-1)[0]
    if not 0 <= count <= len(boxes):
        message = f"a count of {count:g} with room for {len(boxes)}"
        raise ValueError(message)
    upto = round(float(count))
    corners = _corners(boxes[:upto, [1, 0, 3, 2]], _unit(spec, head))
    return Rows(corners, scores[:upto], _whole(classes[:upto]) + spec.label_offset)


def ultraface(spec: declared.UltraFace, outputs: Sequence[Floats], head: Head) -> Rows:
    """The repository's ``predict``: the first score is the background's."""
    corners = _corners(outputs[1][0], _unit(spec, head))
    return Rows(corners, *best(outputs[0][0][:, 1:].astype(np.float64)))


def yunet_outputs(outputs: Sequence[Floats], levels: int) -> list[Floats]:
    """Classes, objectness, boxes and landmarks of the cells of all strides."""
    return [
        np.concatenate([output[0] for output in outputs[kind * levels : (kind + 1) * levels]]).astype(
            np.float64
        )
        for kind in range(4)
    ]


def yunet(spec: declared.YuNet, outputs: Sequence[Floats], head: Head) -> Rows:
    """Wu et al. 2023, and the repository's ``decode``."""
    classes, objects, box, _ = yunet_outputs(outputs, len(spec.strides))
    cell, stride = cells(head.width, head.height, spec.strides)
    x, y = ((cell + box[:, :2]) * stride[:, None]).T
    width, height = (np.exp(box[:, 2:]) * stride[:, None]).T
    scores = np.sqrt(classes.clip(0, 1) * objects.clip(0, 1))[:, 0]
    return Rows(around(x, y, width, height), scores, np.zeros(len(scores), np.intp))


def _whole(classes: Floats) -> NDArray[np.intp]:
    """Class indices; -1, which is none, for what is not a number."""
    return np.where(np.isfinite(classes), classes, -1).astype(np.intp)


HEADS: dict[type[declared.Decoder], Callable[[Any, Sequence[Floats], Head], Rows]] = {
    declared.Yolox: yolox,
    declared.Yolov5: yolov5,
    declared.Yolov8: yolov8,
    declared.Yolov10: yolov10,
    declared.Dfl: dfl,
    declared.FastestDet: fastestdet,
    declared.Ssd: ssd,
    declared.SsdPostprocessed: ssd_postprocessed,
    declared.UltraFace: ultraface,
    declared.YuNet: yunet,
}
