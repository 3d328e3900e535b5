"""Masks and segmentations on a common grid, so that those of different resolution can be compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.findings import Mask, Segmentation

_SIDE = 128  # samples along each side where two grids are not the same one
_OUTSIDE = -2
_NO_ANSWER = -3
Box = tuple[float, float, float, float]
Cells = NDArray[np.int64]


def mask_iou(one: Mask, two: Mask) -> float:
    """Overlap of two masks, 0..1; of two empty ones 1."""
    a, b = _on_one_grid(_of_mask(one), one.box, _of_mask(two), two.box)
    inside = (a == 1) & (b == 1)
    either = (a == 1) | (b == 1)
    count = int(np.count_nonzero(either))
    return int(np.count_nonzero(inside)) / count if count else 1.0


def cells_of(one: Segmentation | None, two: Segmentation | None) -> tuple[Cells, Cells]:
    """Label indices of two segmentations at the same points; nothing agrees with one that is missing."""
    if one is None or two is None:
        missing = np.zeros((1, 1), np.int64)
        return missing, missing if one is two else missing + _NO_ANSWER
    return _on_one_grid(_of_segmentation(one), one.box, _of_segmentation(two), two.box)


def _of_mask(mask: Mask) -> Cells:
    values = np.arange(len(mask.runs)) % 2
    return np.repeat(values, mask.runs).reshape(mask.height, mask.width)


def _of_segmentation(found: Segmentation) -> Cells:
    values, lengths = zip(*found.runs, strict=True) if found.runs else ((), ())
    grid = np.repeat(np.asarray(values, np.int64), np.asarray(lengths, np.int64))
    return grid.reshape(found.height, found.width)


def _on_one_grid(a: Cells, box_a: Box, b: Cells, box_b: Box) -> tuple[Cells, Cells]:
    if a.shape == b.shape and np.allclose(box_a, box_b, atol=0.01):
        return a, b
    left, top = min(box_a[0], box_b[0]), min(box_a[1], box_b[1])
    right, bottom = max(box_a[2], box_b[2]), max(box_a[3], box_b[3])
    x = left + (np.arange(_SIDE) + 0.5) / _SIDE * (right - left)
    y = top + (np.arange(_SIDE) + 0.5) / _SIDE * (bottom - top)
    return _sampled(a, box_a, x, y), _sampled(b, box_b, x, y)


def _sampled(cells: Cells, box: Box, x: NDArray[np.float64], y: NDArray[np.float64]) -> Cells:
    """The cells at the points of a grid, ``_OUTSIDE`` where there is none."""
    height, width = cells.shape
    columns = np.floor((x - box[0]) / max(box[2] - box[0], 1e-9) * width).astype(np.int64)
    rows = np.floor((y - box[1]) / max(box[3] - box[1], 1e-9) * height).astype(np.int64)
    there = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
    taken = cells[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)[None, :]]
    return np.where(there, taken, _OUTSIDE)
