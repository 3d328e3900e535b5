"""A backlog is told from a drifting clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.source.lag import Lag

pytestmark = pytest.mark.unit


@given(st.floats(-100e-6, 100e-6), st.floats(-1e6, 1e6))
def test_a_camera_whose_clock_drifts_is_never_taken_for_one_that_lags(drift: float, start: float) -> None:
    lag = Lag()
    worst = max(lag.update(1000.0 + second, start + second * (1 + drift)) for second in range(0, 86400, 60))
    assert worst < 0.1


def test_a_backlog_shows_by_its_length() -> None:
    lag = Lag()
    for tick in range(100):
        assert lag.update(tick * 0.1, tick * 0.1) == pytest.approx(0.0)
    # The process was held up for 8 s; what it reads now was sent while it slept.
    assert lag.update(17.9, 10.0) == pytest.approx(7.9, abs=0.02)


def test_catching_up_brings_it_back_to_nothing() -> None:
    lag = Lag()
    lag.update(0.0, 0.0)
    late = [lag.update(10.0 + tick * 0.01, 1.0 + tick * 0.1) for tick in range(120)]
    assert late[0] > 8
    assert late[-1] < 0.1


def test_the_first_pictures_that_come_in_a_burst_are_not_late() -> None:
    lag = Lag()
    assert [lag.update(5.0 + tick * 0.001, tick * 0.066) for tick in range(30)] == [0.0] * 30
