"""Outputs in float16 become float32, the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import native

pytestmark = pytest.mark.unit

EVERY = np.arange(65536, dtype=np.uint16)


@pytest.mark.parametrize("dtype", [np.float16, np.uint16])
def test_every_half_is_what_numpy_makes_of_it(kernels: str, dtype: Any) -> None:
    target = np.full(65536, 7, np.float32)
    native.widen_halves(EVERY.view(dtype), target)
    np.testing.assert_array_equal(target, EVERY.view(np.float16).astype(np.float32))


@pytest.mark.parametrize("count", [*range(20), 31, 33, 1000])
def test_it_writes_as_many_as_there_are(kernels: str, count: int) -> None:
    source = EVERY[12345 : 12345 + count].view(np.float16)
    target = np.full(count + 1, 7, np.float32)
    native.widen_halves(source, target[:count])
    assert target.tolist() == [*source.astype(np.float32).tolist(), 7]


def read_only() -> np.ndarray:
    target = np.zeros((2, 4), np.float32)
    target.flags.writeable = False
    return target


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        (np.zeros((2, 4), np.float16), np.zeros((2, 3), np.float32), r"\(2, 4\) and target float32 \(2, 3\)"),
        (np.zeros((2, 4), np.float16), np.zeros(8, np.float32), "of the same shape"),
        (np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32), "expected float16 or uint16"),
        (np.zeros((2, 4), np.float16), np.zeros((2, 4), np.float64), "and float32"),
        (np.zeros((2, 8), np.float16)[:, ::2], np.zeros((2, 4), np.float32), "source must be a C"),
        (np.zeros((2, 4), np.float16), np.zeros((2, 8), np.float32)[:, ::2], "target must be a writable C"),
        (np.zeros((2, 4), np.float16), read_only(), "target must be a writable"),
    ],
)
def test_what_does_not_fit_is_refused(source: np.ndarray, target: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.widen_halves(source, target)
    assert not target.any()
