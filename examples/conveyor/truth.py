"""What is really in a rendered frame."""

from __future__ import annotations

from dataclasses import dataclass

LABELS = ("bolt", "nut", "washer", "damaged")

# At the frame's edge a part comes in bit by bit. Less than half of it counts neither as found nor as missed.
MIN_VISIBLE = 0.5

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Truth:
    """One part in one frame.

    Attributes:
        label: one of `LABELS`.
        box: x1, y1, x2, y2 in pixels, tight around what is seen of the part in the frame.
        visible: 0..1, how much of the part's area is in the frame and not covered by another part.
        part_id: the same in all frames of a scene.
    """

    label: str
    box: Box
    visible: float
    part_id: int
