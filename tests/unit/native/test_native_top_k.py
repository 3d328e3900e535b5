"""The best few of many scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import native

pytestmark = pytest.mark.unit


@given(scores=arrays(np.float32, st.integers(0, 50), elements=st.floats(width=32)), k=st.integers(1, 60))
def test_it_is_a_stable_sort_of_what_is_finite(scores: np.ndarray, k: int) -> None:
    indices, best, broken = native.top_k(scores, k)
    finite = np.flatnonzero(np.isfinite(scores))
    order = finite[np.argsort(-scores[finite], kind="stable")][:k]
    assert indices.tolist() == order.tolist()
    assert best.tolist() == scores[order].tolist()
    assert broken == len(scores) - len(finite)


@pytest.mark.parametrize(
    ("scores", "k", "says"),
    [
        (np.zeros(3, np.float32), 0, "k must be 1 or more"),
        (np.zeros(3), 1, "scores is float64"),
        (np.zeros((3, 2), np.float32), 1, r"expected float32 \(classes\)"),
    ],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, k: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        native.top_k(scores, k)
