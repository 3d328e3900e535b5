"""Frames made by hand, for tests of what passes them on."""

from __future__ import annotations

from runtime.source.frame import Frame, Picture


def frame(index: int = 0, *, pts_s: float | None = None, arrived_ns: int = 0, session: int = 0) -> Frame:
    """A 2x2 picture whose index tells it from others."""
    return Frame(
        picture=Picture("i420", 2, 2, "bt601", full_range=False),
        planes=(bytes(4), bytes(1), bytes(1)),
        strides=(2, 1, 1),
        index=index,
        session=session,
        pts_s=pts_s,
        arrived_ns=arrived_ns,
    )
