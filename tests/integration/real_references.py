"""Reference scripts for the real models, which know nothing of edgeward.

Each reads the picture with OpenCV, makes the tensor with NumPy, runs the engine's own Python API and reads
the outputs by the formula that the model's authors give. It returns boxes, or class scores.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Box(NamedTuple):
    """Label, score, ``x1, y1, x2, y2`` in pixels of the picture, points in the model's order."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...] = ()


def run_onnx(path: Path, tensor: Array) -> list[Array]:
    import onnxruntime as ort  # noqa: PLC0415 - not every test needs it

    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: tensor}))


def run_tflite(path: Path, tensor: Array) -> list[Array]:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def chw(picture: Array) -> Array:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None])


def suppressed(found: list[Box], iou: float) -> list[Box]:
    """Greedy and class by class, best score first."""
    kept: list[Box] = []
    for one in sorted(found, key=lambda box: -box.score):
        if all(other.label != one.label or overlap(other.box, one.box) <= iou for other in kept):
            kept.append(one)
    return kept


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def clipped(corners: Any, bgr: Array) -> tuple[float, float, float, float]:
    height, width = bgr.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in corners)
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def yolox_reference(
    run: Callable[[Path, Array], list[Array]],
) -> Callable[[Path, Array, list[str]], list[Box]]:
    def reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
        ratio = min(416 / bgr.shape[1], 416 / bgr.shape[0])
        small = cv2.resize(bgr, (round(bgr.shape[1] * ratio), round(bgr.shape[0] * ratio)))
        boxed = np.full((416, 416, 3), 114, np.uint8)
        boxed[: small.shape[0], : small.shape[1]] = small
        head = run(path, chw(boxed).astype(np.float32))[0][0]
        found, row = [], 0
        for stride in (8, 16, 32):
            for y in range(416 // stride):
                for x in range(416 // stride):
                    values = head[row]
                    row += 1
                    best = int(values[5:].argmax())
                    score = float(values[4] * values[5 + best])
                    if score >= 0.35:
                        centre = (values[:2] + np.array((x, y))) * stride
                        half = np.exp(values[2:4]) * stride / 2
                        corners = np.concatenate((centre - half, centre + half)) / ratio
                        found.append(Box(labels[best], score, clipped(corners, bgr)))
        return suppressed(found, 0.45)

    return reference


def fastestdet_reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
    head = run_onnx(path, chw(cv2.resize(bgr, (352, 352))).astype(np.float32) / 255)[0][0]
    height, width = bgr.shape[:2]
    found = []
    for y in range(22):
        for x in range(22):
            values = head[:, y, x]
            best = int(values[5:].argmax())
            score = float(values[0] ** 0.6 * values[5 + best] ** 0.4)
            if score >= 0.65:
                cx, cy = (x + np.tanh(values[1])) / 22 * width, (y + np.tanh(values[2])) / 22 * height
                w, h = width / (1 + np.exp(-values[3])), height / (1 + np.exp(-values[4]))
                corners = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                found.append(Box(labels[best], score, clipped(corners, bgr)))
    return suppressed(found, 0.45)


def ultraface_reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
    rgb = cv2.cvtColor(cv2.resize(bgr, (320, 240)), cv2.COLOR_BGR2RGB)
    scores, boxes = run_onnx(path, (chw(rgb).astype(np.float32) - 127) / 128)
    size = np.tile((bgr.shape[1], bgr.shape[0]), 2)
    found = [
        Box(labels[0], float(score), clipped(box * size, bgr))
        for score, box in zip(scores[0, :, 1], boxes[0], strict=True)
        if score >= 0.7
    ]
    return suppressed(found, 0.3)


def yunet_reference(height: int, width: int) -> Callable[[Path, Array, list[str]], list[Box]]:
    def reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
        outputs = run_onnx(path, chw(cv2.resize(bgr, (width, height))).astype(np.float32))
        to_picture = np.array((bgr.shape[1] / width, bgr.shape[0] / height))
        found = []
        for at, stride in enumerate((8, 16, 32)):
            classes, objects, boxes, points = (outputs[kind * 3 + at][0] for kind in range(4))
            for row in range(len(classes)):
                score = float(np.sqrt(np.clip(classes[row, 0], 0, 1) * np.clip(objects[row, 0], 0, 1)))
                if score < 0.6:
                    continue
                cell = np.array((row % (width // stride), row // (width // stride)))
                centre = (cell + boxes[row, :2]) * stride
                half = np.exp(boxes[row, 2:]) * stride / 2
                corners = np.concatenate(((centre - half) * to_picture, (centre + half) * to_picture))
                marks = (points[row].reshape(5, 2) + cell) * stride * to_picture
                landmarks = tuple((float(x), float(y)) for x, y in marks)
                found.append(Box(labels[0], score, clipped(corners, bgr), landmarks))
        return suppressed(found, 0.3)

    return reference


def ssd_reference(path: Path, bgr: Array, labels: list[str]) -> list[Box]:
    rgb = cv2.cvtColor(cv2.resize(bgr, (300, 300)), cv2.COLOR_BGR2RGB)
    boxes, classes, scores, count = run_tflite(path, rgb[None])
    height, width = bgr.shape[:2]
    return [
        Box(
            labels[int(classes[0, at]) + 1],
            float(scores[0, at]),
            clipped(boxes[0, at, [1, 0, 3, 2]] * (width, height, width, height), bgr),
        )
        for at in range(int(count.reshape(-1)[0]))
        if scores[0, at] >= 0.5
    ]


def area(bgr: Array, side: int) -> Array:
    return cv2.resize(bgr, (side, side), interpolation=cv2.INTER_AREA)


def mobilenet_reference(path: Path, bgr: Array) -> Array:
    rgb = cv2.cvtColor(area(bgr, 224), cv2.COLOR_BGR2RGB)
    return np.asarray(run_tflite(path, rgb[None])[0][0] / 256)


def squeezenet_reference(path: Path, bgr: Array) -> Array:
    return run_onnx(path, chw(area(bgr, 224)).astype(np.float16))[0].reshape(-1).astype(np.float32)


def vww_reference(path: Path, bgr: Array) -> Array:
    rgb = cv2.cvtColor(area(bgr, 96), cv2.COLOR_BGR2RGB)
    raw = run_tflite(path, (rgb.astype(np.int16) - 128).astype(np.int8)[None])[0][0]
    return np.asarray((raw.astype(np.float32) + 128) / 256)
