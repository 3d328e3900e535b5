"""Overlapping tiles of a large picture, and one list of objects out of what was seen in each.

The idea of slicing aided inference (Akyon et al. 2022, arXiv:2202.06934): an object of 20 pixels in a 4K
picture is gone when the whole picture is made 640 wide, and is seen in a tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runtime.findings import Detection, Findings
from runtime.ipc import Tiling
from runtime.vision.preprocess import Crop

_EDGE_PX = 2.0


class _Seen(NamedTuple):
    detection: Detection
    part: int  # what one look gave side by side, the model holds for different objects
    cut: bool  # its box ends at an edge where its tile ends and the picture goes on


class Tiles:
    """The tiles of pictures of any size; see ``runtime.ipc.Tiling``."""

    def __init__(self, spec: Tiling) -> None:
        self._spec = spec
        self._crops: dict[tuple[int, int], tuple[Crop | None, ...]] = {}

    def __len__(self) -> int:
        return self._spec.columns * self._spec.rows + self._spec.whole

    def crops(self, width: int, height: int) -> tuple[Crop | None, ...]:
        """The parts to look at, for a picture of that size; None is the whole picture."""
        crops = self._crops.get((width, height))
        if crops is None:
            spec = self._spec
            tiles: list[Crop | None] = [
                (x, y, w, h)
                for y, h in _cuts(height, spec.rows, spec.overlap)
                for x, w in _cuts(width, spec.columns, spec.overlap)
            ]
            crops = (*tiles, None) if spec.whole else tuple(tiles)
            self._crops = {(width, height): crops}  # streams of one pipeline mostly share a size
        return crops

    def merge(self, parts: Sequence[Findings], width: int, height: int) -> Findings:
        """One list of the detections of all parts, an object once, best score first."""
        seen = [
            _Seen(detection, at, crop is not None and _is_cut(detection.box, crop, width, height))
            for at, (crop, part) in enumerate(zip(self.crops(width, height), parts, strict=True))
            for detection in part.detections
        ]
        by_label: dict[str, list[_Seen]] = {}
        for item in seen:
            by_label.setdefault(item.detection.label, []).append(item)
        kept = [one for items in by_label.values() for one in self._once(items)]
        kept.sort(key=lambda detection: -detection.score)
        return Findings(detections=tuple(kept))

    def _once(self, seen: list[_Seen]) -> list[Detection]:
        """Whole objects come before those that a tile cut, then the better score: the rest of a heap goes."""
        seen.sort(key=lambda item: (item.cut, -item.detection.score))
        boxes = np.array([item.detection.box for item in seen])
        parts = np.array([item.part for item in seen])
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        open_ = np.ones(len(seen), dtype=bool)
        kept = []
        for at, item in enumerate(seen):
            if not open_[at]:
                continue
            kept.append(item.detection)
            corner = np.minimum(boxes[at, 2:], boxes[:, 2:]) - np.maximum(boxes[at, :2], boxes[:, :2])
            shared = np.prod(np.maximum(corner, 0.0), axis=1)
            union = areas + areas[at] - shared
            smaller = np.minimum(areas, areas[at])
            same = (shared > self._spec.iou * union) | (shared > self._spec.inside * smaller)
            open_ &= ~(same & (parts != parts[at]))
        return kept


def _cuts(length: int, count: int, overlap: float) -> list[tuple[int, int]]:
    """Start and size of ``count`` equal intervals over ``length``; neighbours share ``overlap`` of one."""
    # A hair less, so that an error of rounding does not make tiles a pixel larger than they must be.
    size = min(length, max(1, math.ceil(length / (count - (count - 1) * overlap) - 1e-9)))
    steps = max(1, count - 1)
    return [(at * (length - size) // steps, size) for at in range(count)]


def _is_cut(box: tuple[float, float, float, float], crop: Crop, width: int, height: int) -> bool:
    x, y, w, h = crop
    x1, y1, x2, y2 = box
    return (
        (x > 0 and x1 <= x + _EDGE_PX)
        or (y > 0 and y1 <= y + _EDGE_PX)
        or (x + w < width and x2 >= x + w - _EDGE_PX)
        or (y + h < height and y2 >= y + h - _EDGE_PX)
    )
