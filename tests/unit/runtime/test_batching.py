"""Batches are used where this device gains by them, and nowhere else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import batching

pytestmark = pytest.mark.unit


def seconds(**by_size: float) -> dict[int, float]:
    return {int(name[1:]): value for name, value in by_size.items()}


@pytest.mark.parametrize(
    ("took", "limit", "kept"),
    [
        (seconds(n1=1.0, n2=1.2, n4=2.0, n8=3.9), 8, (1, 2, 4)),  # 1, .6, .5, .49: the last gains too little
        (seconds(n1=1.0, n2=2.0), 8, (1,)),  # a picture costs the same
        (seconds(n1=1.0, n2=3.0), 8, (1,)),  # it costs more
        (seconds(n1=1.0, n2=1.1), 3, (1, 2)),  # 4 are never together
        (seconds(), 1, (1,)),  # nothing to choose: nothing is measured
    ],
)
def test_a_size_is_kept_when_a_picture_costs_less_in_it(
    took: dict[int, float], limit: int, kept: tuple[int, ...]
) -> None:
    assert batching.worthwhile(took.__getitem__, limit=limit) == kept


@given(st.integers(0, 200), st.sampled_from([(1,), (1, 2), (1, 2, 4), (1, 2, 4, 8)]))
def test_every_picture_is_in_exactly_one_batch(waiting: int, sizes: tuple[int, ...]) -> None:
    parts = list(batching.portions(waiting, sizes))
    assert sum(parts) == waiting
    assert set(parts) <= set(sizes)
    assert parts == sorted(parts, reverse=True)


@pytest.mark.parametrize(("each_s", "runs"), [(0.0, 4), (0.3, 3)])
def test_a_slow_model_is_run_fewer_times_before_its_streams_begin(each_s: float, runs: int) -> None:
    calls = []

    def run() -> None:
        calls.append(time.sleep(each_s))

    assert batching.fastest_of(run) >= each_s
    assert len(calls) == runs
