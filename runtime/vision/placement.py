"""Where a picture, or a part of it, lies in a tensor: what leads boxes back to the picture."""

from __future__ import annotations

from typing import NamedTuple


class Placement(NamedTuple):
    """``x_tensor = (x_source - crop_x) * scale_x + pad_x``, edges of pixels, 0 is the left edge.

    Attributes:
        scale_x: tensor pixels a source pixel.
        scale_y: the same downwards.
        pad_x: tensor pixels left of the picture.
        pad_y: tensor pixels above it.
        crop_x: source pixels left of the part that is looked at.
        crop_y: source pixels above it.
        frame_width: where the picture, or the part that is looked at, ends: the right edge in source pixels.
            Nothing that is found reaches beyond.
        frame_height: the same downwards.
        frame_left: where it begins: 0, or the left edge of the part that is looked at.
        frame_top: the same downwards.
    """

    scale_x: float
    scale_y: float
    pad_x: float
    pad_y: float
    crop_x: float
    crop_y: float
    frame_width: int
    frame_height: int
    frame_left: int = 0
    frame_top: int = 0

    def to_source(self, x: float, y: float) -> tuple[float, float]:
        """A point of the tensor in pixels of the source picture; not clipped."""
        return (x - self.pad_x) / self.scale_x + self.crop_x, (y - self.pad_y) / self.scale_y + self.crop_y
