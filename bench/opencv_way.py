"""Preprocess and postprocess as a good user of OpenCV and NumPy writes them."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Found = tuple[Array, Array, Array]
PAD = 114


class Way(Protocol):
    """How one model is used: its input's side in pixels, what goes in, what comes out."""

    size: int

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that a picture of ``width`` x ``height`` has in the tensor."""

    def blob(self, small: Array) -> Array:
        """The tensor, float32 ``[1, 3, size, size]``, from a BGR picture that has the size of ``fit``."""

    def detections(self, output: Array, width: int, height: int) -> Found:
        """Boxes ``[K, 4]`` in pixels of the ``width`` x ``height`` picture, scores and classes ``[K]``."""


class Yolox:
    """yolox_nano: letterbox to the top left, raw pixel values."""

    size = 416
    threshold, iou = 0.35, 0.45

    def __init__(self) -> None:
        self._decode = YoloxDecode(self.size)

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """See ``Way``."""
        return fit(width, height, self.size)

    def blob(self, small: Array) -> Array:
        """See ``Way``."""
        return _boxed(small, self.size)

    def detections(self, output: Array, width: int, height: int) -> Found:
        """See ``Way``; ``output [1, N, 85]``."""
        boxes, scores, classes = self._decode(output[0], self.threshold, self.iou)
        return boxes / min(self.size / width, self.size / height), scores, classes


class FastestDet:
    """FastestDet (github.com/dog-qiuqiu/FastestDet): plain resize, values 0 to 1."""

    size = 352
    threshold, iou = 0.65, 0.45

    def fit(self, width: int, height: int) -> tuple[int, int]:  # noqa: ARG002 - the same for every picture
        """See ``Way``."""
        return self.size, self.size

    def blob(self, small: Array) -> Array:
        """See ``Way``."""
        return np.asarray(cv2.dnn.blobFromImage(small, 1 / 255))

    def detections(self, output: Array, width: int, height: int) -> Found:
        """See ``Way``; ``output [1, 85, H, W]``: objectness, x, y, w, h, classes of each cell."""
        cells = output[0].reshape(output.shape[1], -1)
        best = cells[5:].max(0)
        scores = cells[0] ** 0.6 * best**0.4
        keep = np.flatnonzero(scores > self.threshold)
        rows, columns = output.shape[2:]
        picked, scores = cells[:, keep], scores[keep]
        centre = np.stack(
            (
                (keep % columns + np.tanh(picked[1])) / columns * width,
                (keep // columns + np.tanh(picked[2])) / rows * height,
            ),
            1,
        )
        extent = 1 / (1 + np.exp(-picked[3:5].T)) * np.array((width, height), np.float32)
        corner = centre - extent / 2
        classes = picked[5:].argmax(0)
        chosen = _suppressed(np.hstack((corner, extent)), scores, classes, self.threshold, self.iou)
        return np.hstack((corner, corner + extent))[chosen], scores[chosen], classes[chosen]


WAYS: dict[str, type[Yolox] | type[FastestDet]] = {"yolox_nano": Yolox, "fastestdet": FastestDet}


def fit(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height of a picture in a square letterbox of ``size``."""
    ratio = min(size / width, size / height)
    return round(width * ratio), round(height * ratio)


def letterbox_bgr(picture: Array, size: int) -> Array:
    """BGR ``[H, W, 3]`` into a top-left letterbox, as blob float32 ``[1, 3, size, size]``."""
    shape = fit(picture.shape[1], picture.shape[0], size)
    return _boxed(cv2.resize(picture, shape, interpolation=cv2.INTER_LINEAR), size)


def colour_first(i420: Array, size: int) -> Array:
    """The usual way: convert the whole picture, then make it small. ``i420`` is ``[H * 3 / 2, W]``."""
    return letterbox_bgr(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), size)


def planes_first(i420: Array, size: int) -> Array:
    """The best way with OpenCV: make the planes small, then convert the small picture."""
    rows, width = i420.shape
    height = rows * 2 // 3
    y = i420[:height]
    quarter = height // 4
    u = i420[height : height + quarter].reshape(height // 2, width // 2)
    v = i420[height + quarter :].reshape(height // 2, width // 2)
    ratio = min(size / width, size / height)
    w, h = round(width * ratio) & ~1, round(height * ratio) & ~1
    small = np.empty((h * 3 // 2, w), np.uint8)
    cv2.resize(y, (w, h), dst=small[:h], interpolation=cv2.INTER_LINEAR)
    chroma = small[h:].reshape(2, h // 2, w // 2)
    cv2.resize(u, (w // 2, h // 2), dst=chroma[0], interpolation=cv2.INTER_LINEAR)
    cv2.resize(v, (w // 2, h // 2), dst=chroma[1], interpolation=cv2.INTER_LINEAR)
    return _boxed(cv2.cvtColor(small, cv2.COLOR_YUV2BGR_I420), size)


def _boxed(small: Array, size: int) -> Array:
    bottom, right = size - small.shape[0], size - small.shape[1]
    boxed = cv2.copyMakeBorder(small, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(PAD, PAD, PAD))
    return np.asarray(cv2.dnn.blobFromImage(boxed))


class YoloxDecode:
    """YOLOX head to boxes with NumPy, then class-wise NMS with OpenCV; grids are made once."""

    def __init__(self, size: int, strides: tuple[int, ...] = (8, 16, 32)) -> None:
        grids, steps = [], []
        for stride in strides:
            cells = size // stride
            x, y = np.meshgrid(np.arange(cells), np.arange(cells))
            grids.append(np.stack((x, y), 2).reshape(-1, 2))
            steps.append(np.full((cells * cells, 1), stride))
        self._grid = np.concatenate(grids).astype(np.float32)
        self._step = np.concatenate(steps).astype(np.float32)

    def __call__(self, output: Array, threshold: float, iou: float) -> Found:
        """``output [N, 5 + C]`` to boxes ``[K, 4]`` (x1 y1 x2 y2, tensor pixels), scores, classes ``[K]``."""
        classes = output[:, 5:]
        best = classes.argmax(1)
        scores = output[:, 4] * classes[np.arange(len(best)), best]
        keep = scores > threshold
        centre = (output[keep, :2] + self._grid[keep]) * self._step[keep]
        size = np.exp(output[keep, 2:4]) * self._step[keep]
        corner = centre - size / 2
        scores, best = scores[keep], best[keep]
        chosen = _suppressed(np.hstack((corner, size)), scores, best, threshold, iou)
        return np.hstack((corner, corner + size))[chosen], scores[chosen], best[chosen]


def _suppressed(boxes: Array, scores: Array, classes: Array, threshold: float, iou: float) -> Array:
    """Which of ``boxes [N, 4]`` (x y width height) stay, class by class."""
    # The stubs want sequences, the function takes arrays, which is how it is fast.
    found: Any = cv2.dnn.NMSBoxesBatched(boxes, scores, classes, threshold, iou)  # type: ignore[call-overload,arg-type]
    return np.asarray(found, dtype=np.intp).reshape(-1)
