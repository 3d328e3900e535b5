"""Growth is told from noise, and a figure that was not measured is not held for one that stayed."""

from __future__ import annotations

from random import Random

import pytest

from tests.soak.growth import Bound, judge, rise, warm_up_s
from tests.soak.samples import BOUNDS

pytestmark = pytest.mark.unit

HOUR = [float(second) for second in range(0, 3600, 10)]


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_found_under_noise_many_times_its_size_a_sample(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - noise
    bound = Bound(figure="memory", unit="MB", once=2.0, per_hour=1.0)
    leaking = [(at, 33 + 6 * at / 3600 + random.gauss(0, 1)) for at in HOUR]
    steady = [(at, 33 + random.gauss(0, 1)) for at in HOUR]
    assert not judge(bound, leaking, 600).kept
    assert judge(bound, steady, 600).kept


@pytest.mark.parametrize(("hours", "leak"), [(1, 3.0), (24, 0.5)])
def test_the_agents_bound_finds_a_leak_that_would_break_its_budget_within_days(
    hours: int, leak: float
) -> None:
    bound = next(bound for bound in BOUNDS if bound.figure == "agent memory (PSS)")
    points = [(float(at), 33 + leak * at / 3600) for at in range(0, hours * 3600, 60)]
    assert not judge(bound, points, warm_up_s(hours * 3600)).kept


def test_what_settles_before_the_warm_up_is_over_is_no_growth() -> None:
    bound = Bound(figure="memory", unit="MB", once=1.0)
    points = [(at, 20.0 if at < 300 else 33.0) for at in HOUR]
    assert judge(bound, points, 600).kept
    assert not judge(bound, points, 0).kept


def test_a_figure_over_its_most_is_told_even_if_it_came_back() -> None:
    bound = Bound(figure="cores", unit="", once=5.0, most=4.0)
    points = [(at, 9.0 if at == 1000 else 2.0) for at in HOUR]
    assert not judge(bound, points, 600).kept


def test_too_few_samples_keep_no_bound() -> None:
    bound = Bound(figure="memory", unit="MB", once=1.0)
    assert not judge(bound, [], 0).kept
    assert not judge(bound, [(0.0, 1.0), (10.0, 1.0)], 0).kept


def test_the_rise_is_that_of_the_line() -> None:
    assert rise([(0, 1.0), (10, 2.0), (20, 3.0)]) == pytest.approx(2.0)
    assert rise([(0, 5.0)]) == 0.0
    assert rise([(3, 5.0), (3, 7.0)]) == 0.0


@pytest.mark.parametrize(("length", "warm"), [(60, 60), (300, 60), (1000, 200), (3600, 600), (86_400, 600)])
def test_the_warm_up_is_a_fifth_within_its_limits(length: float, warm: float) -> None:
    assert warm_up_s(length) == warm
