"""Masks and segmentations on a common grid, so that those of different resolution can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.findings import Mask, Segmentation
from runtime.golden import soundness

_SIDE = 128  # samples along each side where two grids of cells are not the same one
_MASK_SIDE = 64  # and of masks, of which there may be hundreds a frame
_OUTSIDE = -2
_NO_ANSWER = -3
LOWEST = _NO_ANSWER
"""Of the numbers that stand for a label or none."""
Box = tuple[float, float, float, float]
Cells = NDArray[np.int16]


def mask_iou(one: Mask, two: Mask) -> float:
    """Overlap of two masks, 0..1; of two empty ones 1, of one whose runs or box are none 0."""
    if not (_usable(one) and _usable(two)):
        return 0.0
    a, b = _of_mask(one), _of_mask(two)
    if not a.any() and not b.any():
        return 1.0
    a, b = _on_one_grid(a, one.box, b, two.box, _MASK_SIDE)
    inside = (a == 1) & (b == 1)
    either = (a == 1) | (b == 1)
    count = int(np.count_nonzero(either))
    return int(np.count_nonzero(inside)) / count if count else 0.0


def cells_of(one: Segmentation | None, two: Segmentation | None) -> tuple[Cells, Cells]:
    """Label indices of two segmentations at the same points; nothing agrees with one that is missing.

    One whose runs or box are none is as good as missing.
    """
    nothing, missing = np.zeros(1, np.int16), np.full(1, _NO_ANSWER, np.int16)
    if one is None and two is None:
        return nothing, nothing
    if one is None or two is None or not (_usable(one) and _usable(two)):
        return nothing, missing
    a, b = _on_one_grid(_of_segmentation(one), one.box, _of_segmentation(two), two.box, _SIDE)
    known = (a != _OUTSIDE) | (b != _OUTSIDE)
    return (a[known], b[known]) if known.any() else (nothing, missing)


def _usable(found: Mask | Segmentation) -> bool:
    return soundness.of_grid(found) == "" and _is_box(found.box)


def _is_box(box: Sequence[float]) -> bool:
    finite = all(math.isfinite(edge) and abs(edge) < 1e9 for edge in box)
    return finite and box[2] > box[0] and box[3] > box[1]


def _of_mask(mask: Mask) -> Cells:
    values = np.arange(len(mask.runs)).astype(np.int16) % 2
    return np.repeat(values, mask.runs).reshape(mask.height, mask.width)


def _of_segmentation(found: Segmentation) -> Cells:
    values, lengths = zip(*found.runs, strict=True)
    grid = np.repeat(np.asarray(values, np.int16), np.asarray(lengths, np.int64))
    return grid.reshape(found.height, found.width)


def _on_one_grid(a: Cells, box_a: Box, b: Cells, box_b: Box, side: int) -> tuple[Cells, Cells]:
    if a.shape == b.shape and np.allclose(box_a, box_b, atol=0.01):
        return a, b
    left, top = min(box_a[0], box_b[0]), min(box_a[1], box_b[1])
    right, bottom = max(box_a[2], box_b[2]), max(box_a[3], box_b[3])
    x = left + (np.arange(side) + 0.5) / side * (right - left)
    y = top + (np.arange(side) + 0.5) / side * (bottom - top)
    return _sampled(a, box_a, x, y), _sampled(b, box_b, x, y)


def _sampled(cells: Cells, box: Box, x: NDArray[np.float64], y: NDArray[np.float64]) -> Cells:
    """The cells at the points of a grid, ``_OUTSIDE`` where there is none."""
    height, width = cells.shape
    columns = np.floor((x - box[0]) / max(box[2] - box[0], 1e-9) * width).astype(np.int64)
    rows = np.floor((y - box[1]) / max(box[3] - box[1], 1e-9) * height).astype(np.int64)
    there = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None, :]
    taken = cells[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)[None, :]]
    return np.where(there, taken, np.int16(_OUTSIDE))
