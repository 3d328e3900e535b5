"""Decoders get every output of one picture as float32, int32 or int64, and no block is made for it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from runtime.bundle.manifest import Quantisation
from runtime.engine import TensorInfo, allocate
from runtime.vision.outputs import Outputs

pytestmark = pytest.mark.unit


def info(dtype: str, *shape: int | str | None, scale: float = 0.0, zero_point: int = 0) -> TensorInfo:
    quantisation = Quantisation(scale=scale, zero_point=zero_point) if scale else None
    return TensorInfo("output", dtype, shape, quantisation)


def filled(values: Any, dtype: str) -> np.ndarray:
    wanted = np.asarray(values, dtype)
    buffer = allocate(dtype, wanted.shape)
    buffer[...] = wanted
    return buffer


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_what_decoders_read_is_a_view_of_the_engine_s_buffer(dtype: str) -> None:
    buffer = filled([[1, 2, 3]], dtype)
    outputs = Outputs([buffer], [info(dtype, 1, 3)])
    (seen,) = outputs.of(0)
    assert np.shares_memory(seen, buffer)
    buffer[0, 1] = 7
    assert seen.tolist() == [[1, 7, 3]]
    assert (outputs.describe()[0].dtype, outputs.describe()[0].shape) == (dtype, (1, 3))


@pytest.mark.parametrize(
    ("dtype", "raw", "scale", "zero_point", "expected"),
    [
        ("uint8", [0, 128, 255], 0.5, 128, [-64.0, 0.0, 63.5]),
        ("int8", [-128, 0, 127], 1 / 256, -128, [0.0, 0.5, 255 / 256]),
        ("uint8", [0, 7, 255], 0.0, 0, [0.0, 7.0, 255.0]),
        ("int8", [-128, 7, 127], 0.0, 0, [-128.0, 7.0, 127.0]),
        ("float16", [0.5, -2.0, 65504.0], 0.0, 0, [0.5, -2.0, 65504.0]),
        ("bool", [False, True, True], 0.0, 0, [0.0, 1.0, 1.0]),
    ],
)
def test_everything_else_becomes_float32(
    dtype: str, raw: list[Any], scale: float, zero_point: int, expected: list[float]
) -> None:
    outputs = Outputs([filled([raw], dtype)], [info(dtype, 1, 3, scale=scale, zero_point=zero_point)])
    (seen,) = outputs.of(0)
    assert seen.dtype == np.float32
    assert seen.tolist() == [expected]
    assert outputs.describe()[0].dtype == "float32"


def test_a_bool_of_the_model_that_the_engine_keeps_in_bytes_is_0_or_1() -> None:
    outputs = Outputs([filled([[0, 1]], "uint8")], [info("bool", 1, 2)])
    assert outputs.of(0)[0].tolist() == [[0.0, 1.0]]


def test_every_quantised_value_is_that_of_the_formula_in_float64() -> None:
    raw = np.arange(-128, 128, dtype=np.int8)[np.newaxis]
    for scale, zero_point in ((0.00390625, -128), (0.0235, 3), (1.7, 127)):
        outputs = Outputs([raw], [info("int8", 1, 256, scale=scale, zero_point=zero_point)])
        exact = (raw.astype(np.float64) - zero_point) * scale
        np.testing.assert_allclose(outputs.of(0)[0], exact, rtol=2e-7)


def test_each_picture_of_a_batch_gets_its_own() -> None:
    scores = filled([[1, 2], [3, 4], [5, 6]], "float32")
    quantised = filled([[10], [20], [30]], "uint8")
    priors = filled([[9, 9]], "float32")
    infos = [info("float32", "batch", 2), info("uint8", "batch", 1, scale=0.1), info("float32", 1, 2)]
    outputs = Outputs([scores, quantised, priors], infos)
    assert outputs.batch == 3
    for item in range(3):
        own, scaled, shared = outputs.of(item)
        assert own.tolist() == [[2 * item + 1, 2 * item + 2]]
        assert scaled.item() == pytest.approx(item + 1.0)
        assert shared.tolist() == [[9, 9]]
    assert [output.shape for output in outputs.describe()] == [(1, 2), (1, 1), (1, 2)]


def test_a_picture_that_is_not_in_the_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match="picture 1 of a batch of 1"):
        Outputs([filled([[1]], "float32")], [info("float32", 1, 1)]).of(1)


@pytest.mark.parametrize("shape", [(), (4,), (4, 2), (22, 3, 3)])
def test_an_output_without_a_batch_dimension_gets_one(shape: tuple[int, ...]) -> None:
    outputs = Outputs([allocate("float32", shape)], [info("float32", *shape)], 1)
    assert outputs.of(0)[0].shape == (1, *shape) == outputs.describe()[0].shape


def test_rows_whose_number_the_model_decides_follow_it_from_run_to_run() -> None:
    arrays = [np.zeros(0, np.float16), np.zeros(0, np.float32)]
    outputs = Outputs(arrays, [info("float16", 1, "n", 6), info("float32", None, 7)])
    assert [output.shape for output in outputs.describe()] == [(1, None, 6), (1, None, 7)]
    for rows in (3, 0, 1, 200):
        arrays[:] = [np.full((1, rows, 6), 0.5, np.float16), np.full((rows, 7), 2, np.float32)]
        first, second = outputs.of(0)
        assert (first.dtype, first.shape, second.shape) == (np.float32, (1, rows, 6), (1, rows, 7))
        assert (first == 0.5).all()
        assert (second == 2).all()


def test_halves_in_memory_of_an_engine_s_own_layout_become_float32_as_well() -> None:
    wide = np.arange(12, dtype=np.float16).reshape(1, 3, 4)
    unaligned = np.frombuffer(bytes(1) + wide.tobytes(), np.float16, 12, 1).reshape(wide.shape)
    for array in (wide.transpose(0, 2, 1), wide[:, :, ::2], unaligned, np.broadcast_to(wide, wide.shape)):
        outputs = Outputs([array], [info("float16", *array.shape)])
        assert outputs.of(0)[0].tolist() == array.tolist()


def test_an_array_of_other_dimensions_than_the_model_s_is_refused() -> None:
    arrays = [np.zeros(0, np.float32)]
    outputs = Outputs(arrays, [info("float32", 1, "n", 6)])
    for wrong in ((1, 6), (3, 2, 6)):
        arrays[0] = np.zeros(wrong, np.float32)
        with pytest.raises(ValueError, match="'output' came with the shape"):
            outputs.of(0)


def test_outputs_and_what_is_known_of_them_go_together() -> None:
    with pytest.raises(ValueError, match="1 output buffers for 0 outputs"):
        Outputs([allocate("float32", (1, 1))], [])


def test_nothing_of_a_tensor_s_size_is_allocated_per_picture() -> None:
    shape = (2, 3549, 85)
    arrays = [allocate(dtype, shape) for dtype in ("float32", "float16", "uint8", "int8")]
    infos = [
        info("float32", "b", 3549, 85),
        info("float16", "b", 3549, 85),
        info("uint8", "b", 3549, 85, scale=0.1),
        info("int8", "b", 3549, 85),
    ]
    outputs = Outputs(arrays, infos)
    outputs.of(0)
    tracemalloc.start()
    try:
        for item in (0, 1, 0, 1):
            outputs.of(item)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # NumPy converts through a buffer of a few thousand elements; a tensor has 301,665.
    assert peak < 150_000
