"""Latency: quantiles within their stated error of the sorted list, merged, aged; OpenMetrics' buckets."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.histogram import HIGHEST, LOWEST, RELATIVE_ERROR, Histogram, quantile
from agent.health.latency import BOUNDS_S, WINDOW_NS, Latency

pytestmark = pytest.mark.unit

VALUES = st.lists(st.floats(min_value=LOWEST, max_value=HIGHEST), min_size=1, max_size=300)
SHARES = st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def nearest_rank(values: list[float], share: float) -> float:
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def histogram_of(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value)
    return made


@given(VALUES, SHARES)
def test_a_quantile_is_at_most_two_percent_off_the_sorted_list(values: list[float], share: float) -> None:
    exact = nearest_rank(values, share)
    assert quantile([histogram_of(values)], share) == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


@given(VALUES, VALUES, SHARES)
def test_of_two_is_the_same_as_recorded_by_one(one: list[float], other: list[float], share: float) -> None:
    both = quantile([histogram_of(one + other)], share)
    assert quantile([histogram_of(one), histogram_of(other)], share) == both


@given(VALUES, st.lists(st.integers(0, 2 * WINDOW_NS // 50), min_size=300, max_size=300), SHARES)
def test_a_stream_tells_of_its_last_one_to_two_windows(
    values: list[float], pauses: list[int], share: float
) -> None:
    latency = Latency()
    now, recorded = 1, []
    for value, pause in zip(values, pauses, strict=False):
        now += pause
        recorded.append((now, value))
        latency.record(value, now)
    latency.quantile(share, now)
    count = latency._earlier.count + latency._now.count
    # Exactly the newest so many: all of the last window, nothing from before the last two.
    assert count >= sum(now - at < WINDOW_NS for at, _ in recorded)
    assert count <= sum(now - at < 2 * WINDOW_NS for at, _ in recorded)
    newest = [value for _, value in recorded[-count:]]
    assert latency.quantile(share, now) == pytest.approx(nearest_rank(newest, share), rel=0.021, abs=0.001)
    assert latency.quantile(share, now + 2 * WINDOW_NS) is None
    assert latency.cumulative()[-1] == ("+Inf", len(recorded))


@given(st.lists(st.floats(min_value=-5, max_value=30_000), max_size=200))
def test_the_buckets_of_openmetrics_are_cumulative_and_exact(values: list[float]) -> None:
    latency = Latency()
    for value in values:
        latency.record(value, 1)
    for bound, count in latency.cumulative()[:-1]:
        assert count == sum(value <= 1000 * float(bound) for value in values)
    assert latency.cumulative()[-1] == ("+Inf", len(values))
    assert [float(bound) for bound, _ in latency.cumulative()[:-1]] == list(BOUNDS_S)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 1e12])
def test_what_lies_outside_counts_as_the_edge(value: float) -> None:
    edge = LOWEST if value < 1 else HIGHEST
    assert quantile([histogram_of([value])], 0.5) == pytest.approx(edge, rel=0.05)


def test_nothing_recorded_has_no_quantile() -> None:
    assert quantile([Histogram()], 0.5) is None
    assert Latency().quantile(0.5, 1) is None


def test_a_stream_takes_less_than_eight_kilobytes() -> None:
    latency = Latency()
    for number in range(1000):
        latency.record(float(number), number)
    parts = [latency._now._counts, latency._earlier._counts, latency._buckets]
    assert sum(sys.getsizeof(part) for part in parts) < 8192
