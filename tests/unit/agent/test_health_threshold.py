"""Thresholds ring when a value passes them, and not again while it wavers about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.threshold import Ceiling, Floor

pytestmark = pytest.mark.unit

VALUES = st.lists(st.floats(min_value=0, max_value=1000), min_size=1, max_size=60)


@given(VALUES)
def test_a_floor_rings_below_it_and_is_quiet_only_well_above(values: list[float]) -> None:
    floor = Floor(warning=500, critical=100)
    now = "ok"
    for value in values:
        now = floor.judge(value, now)  # type: ignore[arg-type]
        assert (now == "critical") >= (value < 100)
        assert (now == "ok") <= (value >= 500)
        assert (now == "ok") >= (value >= 600)
        assert (now == "critical") <= (value < 120)


@given(st.floats(min_value=490, max_value=599), st.integers(2, 50))
def test_a_value_that_wavers_about_a_threshold_rings_once(centre: float, times: int) -> None:
    floor = Floor(warning=500, critical=100)
    now, changes = "ok", 0
    for turn in range(times):
        after = floor.judge(centre + (9 if turn % 2 else -9), now)  # type: ignore[arg-type]
        changes += after != now
        now = after
    assert changes <= 1


@given(VALUES)
def test_a_ceiling_is_the_same_the_other_way_round(values: list[float]) -> None:
    ceiling = Ceiling(warning=75, critical=85, margin=5)
    now = "ok"
    for value in values:
        now = ceiling.judge(value, now)  # type: ignore[arg-type]
        assert (now == "critical") >= (value > 85)
        assert (now == "ok") <= (value <= 75)
        assert (now == "ok") >= (value <= 70)
