"""A decoded picture as the pipeline sees it: planes by reference, never copied."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12 on

PixelFormat = Literal["i420", "nv12", "bgr24"]


class Picture(NamedTuple):
    """What a preprocess plan depends on; two frames with equal ``Picture`` share a plan."""

    format: PixelFormat
    width: int
    height: int
    matrix: Literal["bt601", "bt709"]
    full_range: bool


@dataclass(slots=True, frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        picture: layout, size in pixels, colour.
        planes: 3, 2 or 1 buffers of bytes, as ``picture.format`` says; valid while the frame lives.
        strides: bytes from one row to the next, plane by plane.
        index: decoded frames of this session before this one, dropped ones included.
        session: how many times the source had been opened before.
        pts_s: presentation time of the stream in seconds, or None when the stream has none.
        arrived_ns: ``CLOCK_MONOTONIC`` when the frame's data had been read from the source.
        waited_s: how long the source had to be waited for; what comes without waiting may be a backlog.
    """

    picture: Picture
    planes: tuple[Buffer, ...]
    strides: tuple[int, ...]
    index: int
    session: int
    pts_s: float | None
    arrived_ns: int
    waited_s: float = 0.0


class Drop(enum.StrEnum):
    """Why a decoded frame was not used; each is counted by stream."""

    NEWER = "newer"
    STALE = "stale"
    OVER_RATE = "over-rate"
    GOVERNED = "governed"
    CORRUPT = "corrupt"
    ENDED = "ended"
