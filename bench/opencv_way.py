"""Preprocess and postprocess as a good user of OpenCV and NumPy writes them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
PAD = 114


def letterbox_bgr(picture: Array, size: int) -> Array:
    """BGR ``[H, W, 3]`` into a top-left letterbox, as blob float32 ``[1, 3, size, size]``."""
    ratio = min(size / picture.shape[1], size / picture.shape[0])
    width, height = round(picture.shape[1] * ratio), round(picture.shape[0] * ratio)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    boxed = cv2.copyMakeBorder(
        small, 0, size - height, 0, size - width, cv2.BORDER_CONSTANT, value=(PAD, PAD, PAD)
    )
    return np.asarray(cv2.dnn.blobFromImage(boxed))


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
    bgr = cv2.cvtColor(small, cv2.COLOR_YUV2BGR_I420)
    boxed = cv2.copyMakeBorder(bgr, 0, size - h, 0, size - w, cv2.BORDER_CONSTANT, value=(PAD, PAD, PAD))
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

    def __call__(self, output: Array, threshold: float, iou: float) -> tuple[Array, Array, Array]:
        """``output [N, 5 + C]`` to boxes ``[K, 4]`` (x1 y1 x2 y2, tensor pixels), scores, classes ``[K]``."""
        classes = output[:, 5:]
        best = classes.argmax(1)
        scores = output[:, 4] * classes[np.arange(len(best)), best]
        keep = scores > threshold
        centre = (output[keep, :2] + self._grid[keep]) * self._step[keep]
        size = np.exp(output[keep, 2:4]) * self._step[keep]
        corner = centre - size / 2
        scores, best = scores[keep], best[keep]
        # The stubs want sequences, the function takes arrays, which is how it is fast.
        found: Any = cv2.dnn.NMSBoxesBatched(np.hstack((corner, size)), scores, best, threshold, iou)  # type: ignore[call-overload,arg-type]
        chosen = np.asarray(found, dtype=np.intp).reshape(-1)
        return np.hstack((corner, corner + size))[chosen], scores[chosen], best[chosen]
