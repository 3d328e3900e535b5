"""The reference path's tensor, by OpenCV, is the fused pass's but for the rounding of single pixels."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest

from runtime.bundle.manifest import InputSpec, Preprocess, Quantisation
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.golden.reference import picture
from runtime.source.frame import Frame, Picture
from runtime.vision.preprocess import Preprocessor

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 120, 88


def frame(matrix: str = "bt601", full_range: bool = False, form: str = "i420", seed: int = 1) -> Frame:
    """Smooth colours with a little noise, as a camera gives them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (12, 15, 3)).astype(np.uint8)
    bgr = cv2.GaussianBlur(cv2.resize(coarse, (WIDTH, HEIGHT)), (5, 5), 0)
    kind = Picture(form, WIDTH, HEIGHT, matrix, full_range)  # type: ignore[arg-type]
    if form == "bgr24":
        return Frame(kind, (np.ascontiguousarray(bgr).reshape(-1),), (WIDTH * 3,), 0, 0, None, 0)
    flat = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)).reshape(-1)
    luma, chroma = WIDTH * HEIGHT, WIDTH * HEIGHT // 4
    planes = (flat[:luma], flat[luma : luma + chroma], flat[luma + chroma :])
    return Frame(kind, planes, (WIDTH, WIDTH // 2, WIDTH // 2), 0, 0, None, 0)


def both(pre: Preprocess, given: Frame, spec: InputSpec) -> tuple[Array, Array]:
    """The reference's tensor and the fused pass's; both agree on where the picture lies in it."""
    shape = tuple(size for size in spec.shape if isinstance(size, int))
    width, height = picture.tensor_size(pre, shape, where="made")
    pixels, place = picture.fitted(picture.bgr(given), pre, width, height)
    fast = np.zeros(shape, spec.dtype)
    fast_place = Preprocessor(pre, spec, shape, where="made").run(given, fast)
    assert tuple(place) == pytest.approx(tuple(fast_place))
    return picture.normalised(pixels, pre, spec), fast


def input_of(pre: Preprocess, dtype: str = "float32", **more: object) -> InputSpec:
    depth = 1 if pre.order == "gray" else 3
    shape = (1, depth, 48, 56) if pre.layout == "nchw" else (1, 48, 56, depth)
    return InputSpec(name="images", dtype=dtype, shape=shape, **more)  # type: ignore[arg-type]


def near(reference: Array, fast: Array, step: float = 1.0) -> None:
    """``step``: what one of 255 levels of a pixel makes in the tensor."""
    difference = np.abs(reference.astype(np.float64) - fast.astype(np.float64)) / step
    assert difference.mean() < 0.35
    assert np.quantile(difference, 0.99) <= 2.01


FITS = ("letterbox", "letterbox_topleft", "stretch", "crop")


@pytest.mark.parametrize(
    ("fit", "order", "layout"), [*product(FITS, ("rgb", "bgr", "gray"), ("nchw", "nhwc"))]
)
@pytest.mark.parametrize("sampling", ["bilinear", "area"])
def test_every_way_to_fit_a_picture_is_the_same(fit: str, order: str, layout: str, sampling: str) -> None:
    pre = Preprocess(fit=fit, order=order, layout=layout, sampling=sampling)  # type: ignore[arg-type]
    near(*both(pre, frame(), input_of(pre)))


@pytest.mark.parametrize(
    ("matrix", "full_range", "form"),
    [*product(("bt601", "bt709"), (True, False), ("i420",)), ("bt601", False, "bgr24")],
)
def test_every_kind_of_colours_is_the_same(matrix: str, full_range: bool, form: str) -> None:
    pre = Preprocess(fit="stretch")
    near(*both(pre, frame(matrix, full_range, form), input_of(pre)))


@pytest.mark.parametrize(
    ("dtype", "quantisation", "step"),
    [
        ("float32", None, 1 / 255 / 0.25),
        ("float16", None, 1 / 255 / 0.25),
        ("int8", Quantisation(scale=0.02, zero_point=-3), 1 / 255 / 0.25 / 0.02),
        ("uint8", Quantisation(scale=0.02, zero_point=120), 1 / 255 / 0.25 / 0.02),
    ],
)
def test_numbers_are_normalised_and_quantised_alike(
    dtype: str, quantisation: Quantisation | None, step: float
) -> None:
    three = (0.4, 0.5, 0.6)
    pre = Preprocess(fit="letterbox", scale=1 / 255, mean=three, std=(0.25, 0.25, 0.25), pad=(9, 99, 199))
    near(*both(pre, frame(), input_of(pre, dtype, quantisation=quantisation)), step=step)


def test_raw_pixels_for_an_integer_input_are_themselves() -> None:
    pre = Preprocess(fit="stretch", layout="nhwc")
    near(*both(pre, frame(), input_of(pre, "uint8")))


@pytest.mark.parametrize("shape", [(1, 48, 56, 3), (1, 1, 48, 56), (3, 48, 56), (2, 3, 48, 56)])
def test_a_tensor_that_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EdgewardError) as refused:
        picture.tensor_size(Preprocess(), shape, where="made")
    assert refused.value.code is Code.BUNDLE_MANIFEST
