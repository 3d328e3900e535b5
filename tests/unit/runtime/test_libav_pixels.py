"""Pixels of any kind come out in their colours, or the source says that they cannot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from runtime.annotate import to_bgr
from runtime.errors import Code, EdgewardError
from runtime.ipc import StreamSpec
from runtime.source.libav import LibavSource

pytestmark = pytest.mark.unit

RGB = (200, 40, 60)


def film(path: Path, codec: str, pixels: str, width: int, height: int) -> LibavSource:
    """One colour, opened."""
    with av.open(str(path), "w") as container:
        video = cast("av.VideoStream", container.add_stream(codec, rate=Fraction(25)))
        video.width, video.height, video.pix_fmt = width, height, pixels
        if pixels == "rgb4":
            picture = av.VideoFrame(width, height, pixels)
        else:
            even = np.broadcast_to(np.array(RGB, np.uint8), (height, width, 3))
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            picture = picture.reformat(format=pixels)
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        container.mux(video.encode(picture))
        container.mux(video.encode(None))
    source = LibavSource(StreamSpec(name="film", url=str(path)))
    source.open()
    return source


@pytest.mark.parametrize(
    ("codec", "pixels", "width", "height"),
    [
        ("ffv1", "yuv420p", 65, 49),
        ("ffv1", "bgr0", 64, 48),
        ("ffv1", "bgr0", 1280, 720),
        ("mjpeg", "yuvj422p", 64, 48),
        ("ffv1", "yuv422p10le", 64, 48),
    ],
)
def test_colours_are_those_of_the_film(
    tmp_path: Path, codec: str, pixels: str, width: int, height: int
) -> None:
    source = film(tmp_path / "film.mkv", codec, pixels, width, height)
    found = to_bgr(next(source.frames()))[height // 2, width // 2, ::-1]
    np.testing.assert_allclose(found.astype(int), RGB, atol=4)
    source.close()


def test_pixels_that_cannot_be_converted_are_an_error_of_the_source(tmp_path: Path) -> None:
    """A camera that sends such must not take the other streams of its pipeline along."""
    source = film(tmp_path / "film.nut", "rawvideo", "rgb4", 64, 48)
    with pytest.raises(EdgewardError, match="rgb4") as refused:
        next(source.frames())
    assert refused.value.code is Code.SOURCE_CODEC
    source.close()
