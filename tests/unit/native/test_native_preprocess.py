"""Fused preprocessing keeps to its definition, for every geometry, format and type."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_reference import Case, in_layout, picture, placement, values

import native

pytestmark = pytest.mark.unit

# In 0..255 units: 15-bit weights leave this much after the colour matrix, and pixels are then rounded to
# whole numbers, up from this fraction on: a bit later than at a half, as OpenCV's 8-bit steps do.
WORST = 0.06
UP_FROM = 0.58
ROUNDED = UP_FROM + WORST

per_example = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def run(case: Case) -> tuple[np.ndarray, list[np.ndarray]]:
    grids, planes, strides = picture(case)
    out = np.full(case.shape(), 77, case.dtype)
    native.Preprocess(**case.plan_arguments()).run(planes, strides, out)
    return out, grids


def gain(case: Case) -> np.ndarray:
    """Tensor units per pixel unit, for each channel, in the shape of the tensor's channel axis."""
    per_channel = case.scale / np.abs(np.asarray(case.std[: case.channels()]))
    return per_channel.reshape((1, -1, 1, 1) if case.layout == "nchw" else (1, 1, 1, -1))


@st.composite
def geometries(draw: st.DrawFn, dtype: str = "float32") -> Case:
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 50))
    crop = None
    if draw(st.booleans()):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        crop = (x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))
    channel = st.floats(0, 255, width=32)
    return Case(
        format=draw(st.sampled_from(["i420", "nv12", "bgr24"])),
        width=width,
        height=height,
        crop=crop,
        out_width=draw(st.integers(1, 70)),
        out_height=draw(st.integers(1, 40)),
        matrix=draw(st.sampled_from(["bt601", "bt709"])),
        full_range=draw(st.booleans()),
        fit=draw(st.sampled_from(["letterbox", "letterbox_topleft", "stretch", "crop"])),
        sampling=draw(st.sampled_from(["bilinear", "area"])),
        pad=draw(st.tuples(channel, channel, channel)),
        order=draw(st.sampled_from(["rgb", "bgr", "gray"])),
        dtype=dtype,
        layout=draw(st.sampled_from(["nchw", "nhwc"])),
        stride_extra=draw(st.integers(0, 40)),
        seed=draw(st.integers(0, 2**16)),
    )


@per_example
@given(case=geometries())
def test_float32_follows_the_reference_for_any_geometry(kernels: str, case: Case) -> None:
    out, grids = run(case)
    exact = in_layout(case, values(case, grids))
    channels = case.channels()
    padding = in_layout(
        case, np.broadcast_to(case.pad[:channels], (case.out_height, case.out_width, channels))
    )
    assert np.abs(out - exact).max() <= ROUNDED
    assert np.array_equal(np.where(out == padding, 0, out), np.where(out == padding, 0, np.rint(out)))


@per_example
@given(
    case=geometries(),
    mean=st.tuples(*[st.floats(-1, 1, width=32)] * 3),
    std=st.tuples(*[st.sampled_from([-2.0, 0.225, 0.5, 1.0, 3.0])] * 3),
    scale=st.sampled_from([1 / 255, 1.0, -0.5]),
)
def test_normalising_comes_after_clipping_in_the_tensors_channel_order(
    kernels: str,
    case: Case,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    scale: float,
) -> None:
    case.mean, case.std, case.scale = mean, std, scale
    out, grids = run(case)
    error = np.abs(out - in_layout(case, values(case, grids)))
    assert (error <= ROUNDED * np.abs(gain(case)) + 1e-5).all()


@per_example
@given(case=geometries(dtype="float16"))
def test_float16_is_the_float32_value_rounded_once(kernels: str, case: Case) -> None:
    case.scale = 1 / 255
    half, _ = run(case)
    case.dtype = "float32"
    single, _ = run(case)
    assert np.array_equal(half, single.astype(np.float16))


@per_example
@given(
    case=geometries(),
    dtype=st.sampled_from(["uint8", "int8"]),
    mean=st.tuples(*[st.sampled_from([0.0, 0.485, 127.5])] * 3),
    std=st.tuples(*[st.sampled_from([1.0, 0.225, 127.5, -2.0])] * 3),
    quant_scale=st.sampled_from([1.0, 1 / 255, 0.007843138, 0.5, 3.7]),
    zero_point=st.integers(-128, 255),
    scale=st.sampled_from([1.0, 1 / 255]),
)
def test_integer_types_are_exactly_what_numpy_makes_of_the_pixels(
    kernels: str,
    case: Case,
    dtype: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    quant_scale: float,
    zero_point: int,
    scale: float,
) -> None:
    case.pad = tuple(float(int(p)) for p in case.pad)
    case.dtype = "uint8"
    pixels, _ = run(case)
    info = np.iinfo(dtype)
    case.mean, case.std, case.dtype, case.quant_scale, case.scale = mean, std, dtype, quant_scale, scale
    case.quant_zero_point = int(np.clip(zero_point, info.min, info.max))
    out, _ = run(case)

    def per_channel(three: tuple[float, float, float]) -> np.ndarray:
        values = np.array(three[: case.channels()], np.float32)
        return values.reshape((1, -1, 1, 1) if case.layout == "nchw" else (1, 1, 1, -1))

    value = (pixels * np.float32(scale) - per_channel(mean)) / per_channel(std)
    steps = np.rint(value / np.float32(quant_scale)) + case.quant_zero_point
    assert np.array_equal(out, np.clip(steps, info.min, info.max).astype(dtype))


@per_example
@given(case=geometries())
def test_uint8_without_normalising_is_the_pixel(kernels: str, case: Case) -> None:
    case.pad = tuple(float(int(p)) for p in case.pad)
    single, _ = run(case)
    case.dtype = "uint8"
    raw, _ = run(case)
    assert np.array_equal(raw, single)


@pytest.mark.parametrize("fmt", ["i420", "nv12", "bgr24"])
@pytest.mark.parametrize("size", [(416, 416), (640, 640), (100, 60), (2500, 1300)])
def test_full_hd_stays_within_the_stated_error(kernels: str, fmt: str, size: tuple[int, int]) -> None:
    case = Case(fmt, 1920, 1080, *size)
    out, grids = run(case)
    exact = in_layout(case, values(case, grids))
    assert np.abs(out - exact).max() <= ROUNDED
    # Where the fraction is not near the place where rounding turns there is one right answer.
    clear = np.abs(exact - np.floor(exact) - UP_FROM) > WORST
    assert np.array_equal(out[clear], np.floor(exact[clear] + 1 - UP_FROM))


@pytest.mark.parametrize("fmt", ["i420", "nv12", "bgr24"])
@pytest.mark.parametrize("sampling", ["bilinear", "area"])
def test_kernel_sets_give_the_same_pixels(fmt: str, sampling: str) -> None:
    case = Case(fmt, 1279, 719, 416, 416, crop=(3, 5, 1111, 701), sampling=sampling)
    outs = []
    for name in native.available_simd():
        native.set_simd(name)
        outs.append(run(case)[0])
    native.set_simd("auto")
    for out in outs[1:]:
        assert np.array_equal(out, outs[0])


def test_bgr_resizes_as_opencv_does(kernels: str) -> None:
    case = Case("bgr24", 333, 217, 160, 96, crop=(7, 3, 301, 205), fit="stretch", order="bgr", layout="nhwc")
    out, (grid,) = run(case)
    expected = cv2.resize(grid[3:208, 7:308].astype(np.float32), (160, 96), interpolation=cv2.INTER_LINEAR)
    assert np.abs(out[0] - expected).max() <= ROUNDED


def test_grey_i420_resizes_its_luma_plane_as_opencv_does(kernels: str) -> None:
    luma = np.random.default_rng(1).integers(0, 256, (720, 1280), dtype=np.uint8)
    grey = np.full(640 * 360, 128, np.uint8)
    out = np.empty((3, 234, 416), np.float32)
    plan = native.Preprocess(
        format="i420", width=1280, height=720, full_range=True, out_width=416, out_height=234, fit="stretch"
    )
    plan.run([luma.reshape(-1), grey, grey], [1280, 640, 640], out)
    expected = cv2.resize(luma.astype(np.float32), (416, 234), interpolation=cv2.INTER_LINEAR)
    assert np.abs(out - expected).max() <= ROUNDED


@pytest.mark.parametrize("full_range", [False, True])
def test_i420_comes_out_as_opencv_converts_and_resizes_it(kernels: str, full_range: bool) -> None:
    """The usual way, colour first: what is left is the rounding of its steps in between.

    No pixel here is so bright or coloured that the usual way would clip it before it is resized.
    """
    rng = np.random.default_rng(5)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (540, 640), dtype=np.uint8), (0, 0), 3)
    i420 = cv2.normalize(smooth, None, 70, 180, cv2.NORM_MINMAX)
    i420[360:] = np.clip(i420[360:], 108, 148)
    if full_range:
        planes = [i420[:360], *i420[360:].reshape(2, 180, 320)]
        y, u, v = (np.asarray(p, np.float64) for p in planes)
        u, v = (np.kron(c, np.ones((2, 2))) - 128 for c in (u, v))
        bgr = np.stack([y + 1.772 * u, y - 0.344136 * u - 0.714136 * v, y + 1.402 * v], -1)
        bgr = np.clip(np.rint(bgr), 0, 255).astype(np.uint8)
    else:
        bgr = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
    expected = cv2.resize(bgr, (416, 234), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    plan = native.Preprocess(
        format="i420",
        width=640,
        height=360,
        full_range=full_range,
        out_width=416,
        out_height=234,
        fit="stretch",
        order="bgr",
        layout="nhwc",
    )
    out = np.empty((234, 416, 3), np.float32)
    quarters = i420[360:].reshape(2, -1)
    plan.run([i420[:360], quarters[0], quarters[1]], [640, 320, 320], out)
    assert np.abs(out - expected).max() <= 2
    assert np.abs(out - expected).mean() <= 0.25
    assert abs((out - expected).mean()) <= 0.1, "neither brighter nor darker"


def test_noise_around_black_is_black_as_with_opencv(kernels: str) -> None:
    """Clipped before it is averaged: otherwise dark places come out darker than the usual way has them."""
    luma = np.random.default_rng(3).integers(4, 30, (180, 320), dtype=np.uint8)
    chroma = np.full((90, 160), 128, np.uint8)
    i420 = np.concatenate([luma.reshape(-1), chroma.reshape(-1), chroma.reshape(-1)]).reshape(270, 320)
    expected = cv2.resize(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), (173, 97)).astype(np.float32)
    plan = native.Preprocess(
        format="i420",
        width=320,
        height=180,
        out_width=173,
        out_height=97,
        fit="stretch",
        order="bgr",
        layout="nhwc",
    )
    out = np.empty((97, 173, 3), np.float32)
    plan.run([luma, chroma, chroma], [320, 160, 160], out)
    assert np.abs(out - expected).max() <= 1


def test_same_size_bgr_is_copied_exactly(kernels: str) -> None:
    case = Case("bgr24", 53, 31, 53, 31, dtype="uint8", layout="nhwc", order="bgr")
    out, (grid,) = run(case)
    assert np.array_equal(out[0], grid)


def test_black_and_white_of_limited_range_reach_both_ends(kernels: str) -> None:
    chroma = np.full(4, 128, np.uint8)
    plan = native.Preprocess(format="i420", width=4, height=4, out_width=4, out_height=4)
    for luma, expected in ((16, 0.0), (0, 0.0), (235, 255.0), (255, 255.0)):
        out = np.empty((3, 4, 4), np.float32)
        plan.run([np.full(16, luma, np.uint8), chroma, chroma], [4, 2, 2], out)
        assert np.abs(out - expected).max() < 1e-3


def test_the_affine_map_leads_from_source_to_tensor() -> None:
    case = Case("i420", 1920, 1080, 640, 640, crop=(101, 51, 1001, 803))
    plan = native.Preprocess(**case.plan_arguments())
    left, top, width, height = placement(case)
    assert (plan.pad_x, plan.pad_y, plan.crop_x, plan.crop_y) == (left, top, 101, 51)
    assert plan.scale_x == pytest.approx(width / 1001)
    assert plan.scale_y == pytest.approx(height / 803)
    assert plan.shape == (1, 3, 640, 640)
    assert plan.dtype == "float32"


def test_a_centre_crop_fills_the_tensor_and_says_where_it_lies() -> None:
    case = Case("i420", 1920, 1080, 224, 224, fit="crop", crop=(100, 0, 1600, 900))
    plan = native.Preprocess(**case.plan_arguments())
    assert (plan.pad_x, plan.pad_y, plan.crop_x, plan.crop_y) == (0, 0, 450, 0)
    assert plan.scale_x == plan.scale_y == pytest.approx(224 / 900)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_one_grey_pads_all_channels(kernels: str, layout: str) -> None:
    arguments = Case("bgr24", 8, 4, 8, 8, layout=layout).plan_arguments() | {"pad": 7}
    out = np.empty((1, 3, 8, 8) if layout == "nchw" else (1, 8, 8, 3), np.float32)
    native.Preprocess(**arguments).run([np.zeros(96, np.uint8)], [24], out)
    picture_rows = out[:, :, 2:6] if layout == "nchw" else out[:, 2:6]
    assert (out == 7).sum() == out.size // 2
    assert not picture_rows.any()
