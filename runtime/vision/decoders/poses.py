"""What the decoders of keypoints share."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.engine import Array
from runtime.findings import Keypoint
from runtime.vision.placement import Placement

Box = tuple[float, float, float, float]


def keypoints(names: Sequence[str], rows: Array, place: Placement) -> tuple[Keypoint, ...]:
    """``rows``: ``[K, 3]``, x and y in tensor pixels and a score; points may lie outside the picture."""
    found = []
    for name, (x, y, score) in zip(names, rows.tolist(), strict=True):
        found.append(Keypoint(name, *place.to_source(x, y), score))
    return tuple(found)


def clipped(box: Box, place: Placement) -> Box | None:
    """A box in source pixels without what lies outside the picture; None when nothing is left of it."""
    x1, y1 = max(box[0], float(place.frame_left)), max(box[1], float(place.frame_top))
    x2, y2 = min(box[2], float(place.frame_width)), min(box[3], float(place.frame_height))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def around(points: Sequence[Keypoint]) -> Box:
    """The smallest box with all ``points``, of which there is at least one; a pixel at least on each axis.

    One point has no area, and a box without it would count as nothing.
    """
    left, right = _at_least_a_pixel([point.x for point in points])
    top, bottom = _at_least_a_pixel([point.y for point in points])
    return left, top, right, bottom


def _at_least_a_pixel(places: Sequence[float]) -> tuple[float, float]:
    first, last = min(places), max(places)
    grow = max(0.0, (1.0 - (last - first)) / 2)
    return first - grow, last + grow
