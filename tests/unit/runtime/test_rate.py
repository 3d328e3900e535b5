"""Fewer frames when the agent asks for it: evenly, and of what would be looked at otherwise."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.rate import Rate
from runtime.source.frame import Drop
from runtime.source.pacing import thinned
from tests.unit.runtime.test_pacing import frame

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@given(st.floats(0.01, 1.0), st.integers(1, 400))
def test_of_any_number_of_frames_the_share_is_taken_evenly_and_the_rest_is_counted(
    share: float, count: int
) -> None:
    dropped: Counter[Drop] = Counter()
    kept = [
        item.index
        for item in thinned(map(frame, range(count)), lambda why: dropped.update([why]), lambda: share)
    ]
    assert len(kept) + dropped[Drop.GOVERNED] == count
    assert abs(len(kept) - share * count) <= 2
    assert kept[0] == 0, "the first frame is looked at, however small the share"
    pauses = [two - one for one, two in itertools.pairwise(kept)]
    assert all(pause <= 1 / share + 1 for pause in pauses)


def test_at_the_full_rate_every_frame_is_taken() -> None:
    rate = Rate(["cam"])
    kept = list(thinned(map(frame, range(500)), pytest.fail, lambda: rate.share_for("cam")))
    assert len(kept) == 500


def offered(
    rate: Rate, clock: Clock, fps: dict[str, float], seconds: float, cost_s: float
) -> dict[str, float]:
    """Frames a second that are let through, by stream, while inference takes ``cost_s`` for each."""
    due = dict.fromkeys(fps, clock.now_s)
    credit = dict.fromkeys(fps, 0.0)
    end_s = clock.now_s + seconds
    through: Counter[str] = Counter()
    while clock.now_s < end_s:
        name = min(due, key=due.__getitem__)
        clock.now_s = max(clock.now_s, due[name])
        due[name] += 1 / fps[name]
        credit[name] += rate.share_for(name)
        if credit[name] >= 1:
            credit[name] -= 1
            through[name] += 1
            rate.worked(cost_s, 1)
    return {name: through[name] / seconds for name in fps}


def test_a_fast_model_looks_at_the_share_of_what_its_cameras_give() -> None:
    clock = Clock()
    rate = Rate(["a", "b"], clock=clock)
    offered(rate, clock, {"a": 10, "b": 4}, 10, 0.01)
    rate.set(0.5)
    assert offered(rate, clock, {"a": 10, "b": 4}, 60, 0.01) == pytest.approx({"a": 5, "b": 2}, rel=0.1)


def test_a_slow_model_looks_at_the_share_of_what_it_manages() -> None:
    """30 frames a second offered, 10 can be looked at: half is 5, and not 15, which would change nothing."""
    clock = Clock()
    rate = Rate(["cam"], clock=clock)
    offered(rate, clock, {"cam": 30}, 10, 0.1)
    rate.set(0.5)
    assert offered(rate, clock, {"cam": 30}, 60, 0.1)["cam"] == pytest.approx(5, rel=0.1)


def test_a_worker_that_begins_at_a_lowered_rate_finds_its_share_by_itself() -> None:
    clock = Clock()
    rate = Rate(["cam"], clock=clock)
    rate.set(0.25)
    offered(rate, clock, {"cam": 30}, 20, 0.1)
    assert offered(rate, clock, {"cam": 30}, 60, 0.1)["cam"] == pytest.approx(2.5, rel=0.1)


def test_a_stream_that_has_stopped_takes_nothing_from_the_others() -> None:
    clock = Clock()
    rate = Rate(["a", "gone"], clock=clock)
    offered(rate, clock, {"a": 10, "gone": 10}, 10, 0.1)
    rate.set(0.5)
    offered(rate, clock, {"a": 10}, 120, 0.1)
    assert offered(rate, clock, {"a": 10}, 60, 0.1)["a"] == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 7.0])
def test_a_factor_that_makes_no_sense_neither_stops_nor_speeds_up(factor: float) -> None:
    rate = Rate(["cam"])
    rate.set(factor)
    assert 0 < rate.share_for("cam") <= 1
