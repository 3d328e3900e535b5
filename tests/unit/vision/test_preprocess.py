"""Where a picture and its parts lie in a tensor, as decoders are told it."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.bundle.manifest import InputSpec, Preprocess
from runtime.engine import allocate
from runtime.source.frame import Frame, Picture
from runtime.vision.preprocess import Crop, Preprocessor

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 64, 48


def frame() -> Frame:
    picture = Picture("bgr24", WIDTH, HEIGHT, "bt601", full_range=True)
    return Frame(picture, (bytes(3 * WIDTH * HEIGHT),), (3 * WIDTH,), 0, 0, None, 0)


def preprocessor() -> Preprocessor:
    shape = (1, 3, 32, 32)
    tensor = InputSpec(name="images", dtype="float32", shape=shape)
    return Preprocessor(Preprocess(), tensor, shape, where="made")


def test_the_whole_picture_begins_at_its_corner() -> None:
    place = preprocessor().run(frame(), allocate("float32", (1, 3, 32, 32)))
    assert (place.frame_left, place.frame_top, place.frame_width, place.frame_height) == (0, 0, WIDTH, HEIGHT)
    assert place.to_source(place.pad_x, place.pad_y) == (0, 0)


@pytest.mark.parametrize(
    ("crop", "sides"),
    [
        ((10, 20, 8, 16), (10, 20, 18, 36)),
        ((-5, -6, 20, 30), (0, 0, 15, 24)),
        ((60, 40, 100, 100), (60, 40, WIDTH, HEIGHT)),
        ((0, 0, WIDTH, HEIGHT), (0, 0, WIDTH, HEIGHT)),
    ],
)
def test_nothing_that_is_found_in_a_part_reaches_beyond_it_on_any_side(
    crop: Crop, sides: tuple[int, int, int, int]
) -> None:
    out = allocate("float32", (2, 3, 32, 32))
    first, place = preprocessor().run_crops(frame(), [(0, 0, 4, 4), crop], out)
    assert (first.frame_left, first.frame_width) == (0, 4)
    assert (place.frame_left, place.frame_top, place.frame_width, place.frame_height) == sides
    # Where the tensor's picture begins, the part does.
    assert place.to_source(place.pad_x, place.pad_y) == pytest.approx(sides[:2])
    assert np.isfinite(out).all()
