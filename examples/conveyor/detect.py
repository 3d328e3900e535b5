"""The trained detector through onnxruntime and plain numpy: a reference for the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from examples.conveyor.dataset import INPUT, letterbox
from examples.conveyor.score import Detection
from examples.conveyor.truth import LABELS

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

MODEL = Path(__file__).parent / "model" / "conveyor.onnx"
STRIDES = (8, 16, 32)
SCORE_THRESHOLD = 0.5
IOU_THRESHOLD = 0.5


def place_of_rows() -> tuple[Floats, Floats]:
    """For each row of the output: its grid place [n, 2] and its stride [n, 1]."""
    grids, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: INPUT[1] // stride, : INPUT[0] // stride]
        grids.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(grids).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(
    output: Floats, scale: float, offset: tuple[int, int], threshold: float, iou: float
) -> list[Detection]:
    """Rows [1764, 9] of the raw head to detections in the picture, after class-wise suppression."""
    grid, stride = place_of_rows()
    centre = (output[:, :2] + grid) * stride
    half = np.exp(output[:, 2:4]) * stride / 2
    boxes = (np.concatenate([centre - half, centre + half], axis=1) - np.array([*offset, *offset])) / scale
    scores = output[:, 4:5] * output[:, 5:]
    found = []
    for label, name in enumerate(LABELS):
        rows = np.flatnonzero(scores[:, label] >= threshold)
        if rows.size == 0:
            continue
        sizes = [(*box[:2], *(box[2:] - box[:2])) for box in boxes[rows].astype(float)]
        values = scores[rows, label].astype(float)
        for kept in np.ravel(cv2.dnn.NMSBoxes(sizes, values.tolist(), threshold, iou)):
            x1, y1, x2, y2 = map(float, boxes[rows[kept]])
            found.append(Detection(name, (x1, y1, x2, y2), float(values[kept])))
    return sorted(found, key=lambda detection: -detection.score)


class Reference:
    """The model file, loaded."""

    def __init__(self, model: Path = MODEL) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])

    def detect(
        self, image: Image, threshold: float = SCORE_THRESHOLD, iou: float = IOU_THRESHOLD
    ) -> list[Detection]:
        """Parts in a BGR picture [H, W, 3]."""
        small, scale, offset = letterbox(image)
        tensor = small.transpose(2, 0, 1)[None].astype(np.float32) / 255
        output = self._session.run(["output"], {"images": tensor})[0][0]
        return decode(output, scale, offset, threshold, iou)
