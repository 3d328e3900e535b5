"""What is fed to a model, by its family, and by the quantisation of its input where it has one."""

from __future__ import annotations

import pytest

from runtime.authoring.conventions import FRACTION, TORCHVISION, Convention, feed
from runtime.bundle.manifest import Quantisation

pytestmark = pytest.mark.unit

YOLO = Convention("somebody", "letterbox", "rgb", FRACTION)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "told", "pixel", "quantised"),
    [
        ("uint8", 1 / 128, 128, "raw pixels", 200, 200),
        ("uint8", 1 / 255, 0, "raw pixels", 200, 200),
        ("uint8", 1.0, 0, "raw pixels", 200, 200),
        ("int8", 1 / 255, -128, "pixels / 255", 200, 72),
        ("int8", 2 / 255, -1, "-1 to 1", 200, 72),
        ("int8", 1.0, -128, "raw pixels", 200, 72),
    ],
)
def test_an_input_of_256_levels_gets_one_level_a_pixel_value(
    dtype: str, scale: float, zero_point: int, told: str, pixel: int, quantised: int
) -> None:
    own = Quantisation(scale=scale, zero_point=zero_point)
    found = feed(YOLO, dtype=dtype, layout="nhwc", gray=False, own=own)
    values = found.preprocess
    number = (pixel * values.scale - values.mean[0]) / values.std[0]
    if found.quantisation is not None:
        number = number / found.quantisation.scale + found.quantisation.zero_point
    assert round(number) == pytest.approx(quantised, abs=1)
    assert told in found.reason


def test_a_quantisation_as_wide_as_imagenets_values_is_known() -> None:
    own = Quantisation(scale=0.0187, zero_point=114)
    found = feed(YOLO, dtype="uint8", layout="nhwc", gray=False, own=own)
    assert (found.preprocess.mean, found.quantisation) == (TORCHVISION.mean, own)
    assert any("scale, mean and std" in each for each in found.unknown)


def test_floats_follow_the_family_and_are_said_to_be_unknown() -> None:
    found = feed(YOLO, dtype="float32", layout="nchw", gray=False, own=None)
    assert (found.preprocess.fit, found.preprocess.order) == ("letterbox", "rgb")
    assert found.preprocess.scale == 1 / 255
    assert "somebody" in found.unknown[0]


def test_a_gray_picture_has_no_order_to_doubt() -> None:
    found = feed(YOLO, dtype="float32", layout="nchw", gray=True, own=None)
    assert found.preprocess.order == "gray"
    assert "order" not in found.unknown[0]
