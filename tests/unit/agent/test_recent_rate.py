"""A rate that says what happens now: right within a second, and zero soon after the last one."""

from __future__ import annotations

import pytest

from agent.workers.rate import WINDOW_NS, RecentRate

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000


@pytest.mark.parametrize("fps", [0.5, 1, 5, 12.5, 30, 120, 1000])
def test_a_steady_stream_has_its_rate(fps: float) -> None:
    rate, step = RecentRate(), int(SECOND / fps)
    now = 0
    for number in range(max(10, int(20 * fps))):
        now = number * step
        rate.count(now)
    assert rate.per_second(now) == pytest.approx(fps, rel=0.25 if fps < 2 else 0.05)


def test_it_is_right_from_the_first_second_on() -> None:
    rate = RecentRate()
    for number in range(11):
        rate.count(number * SECOND // 10)
    assert rate.per_second(SECOND) == pytest.approx(10)


def test_it_falls_to_zero_when_nothing_comes() -> None:
    rate = RecentRate()
    assert rate.per_second(0) == 0
    for number in range(100):
        rate.count(number * SECOND // 20)
    last = 99 * SECOND // 20
    assert 0 < rate.per_second(last + 2 * SECOND) < 20
    assert rate.per_second(last + WINDOW_NS + SECOND) == 0


def test_after_a_pause_it_is_that_of_the_new_run() -> None:
    rate = RecentRate()
    for number in range(100):
        rate.count(number * SECOND // 20)
    later = 60 * SECOND
    for number in range(21):
        rate.count(later + number * SECOND // 20)
    assert rate.per_second(later + SECOND) == pytest.approx(20, rel=0.05)
