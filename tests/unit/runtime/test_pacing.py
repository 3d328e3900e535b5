"""Which frames are looked at, and that each one that is not is counted with its reason."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Code, EdgewardError
from runtime.source.frame import Drop
from runtime.source.pacing import fresh, in_real_time, within_rate
from tests.unit.runtime.frames import frame

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("camera", "asked", "got"), [(30, 30, 30), (30, 20, 20), (30, 10, 10), (10, 30, 10), (25, 7, 7)]
)
def test_the_rate_that_was_asked_for_is_the_rate_that_is_had(camera: int, asked: float, got: int) -> None:
    dropped: Counter[Drop] = Counter()
    frames = [frame(n, pts_s=round(n / camera * 90000) / 90000) for n in range(camera * 10)]
    kept = list(within_rate(iter(frames), lambda why: dropped.update([why]), asked))
    assert abs(len(kept) - got * 10) <= 1
    assert len(kept) + dropped[Drop.OVER_RATE] == len(frames)


@given(st.lists(st.floats(0, 1e6), max_size=50), st.floats(0.5, 60))
def test_no_clock_however_wild_stops_a_stream_for_ever_or_loses_count(
    times: list[float], rate: float
) -> None:
    dropped: list[Drop] = []
    kept = list(within_rate(iter([frame(n, pts_s=t) for n, t in enumerate(times)]), dropped.append, rate))
    assert len(kept) + len(dropped) == len(times)
    assert bool(kept) == bool(times)


def test_frames_that_waited_in_a_socket_are_dropped_as_stale_and_the_present_goes_on() -> None:
    dropped: list[Drop] = []
    live = [frame(n, pts_s=n * 0.1, arrived_ns=int(n * 1e8)) for n in range(50)]
    # Held up from second 5 to second 15; the backlog is then read at once.
    backlog = [frame(n, pts_s=n * 0.1, arrived_ns=int(15e9 + n * 1e6)) for n in range(50, 150)]
    after = [frame(n, pts_s=n * 0.1, arrived_ns=int(n * 1e8)) for n in range(151, 160)]
    kept = [one.index for one in fresh(iter(live + backlog + after), dropped.append, where="cam")]
    assert kept[:50] == list(range(50))
    assert kept[50] >= 130, "nothing older than 2 s is taken for new"
    assert kept[-9:] == list(range(151, 160))
    assert set(dropped) == {Drop.STALE}
    assert len(kept) + len(dropped) == 159


def test_a_camera_that_sends_fewer_frames_than_it_stamps_loses_none() -> None:
    dropped: list[Drop] = []
    frames = [
        dataclasses.replace(frame(n, pts_s=n / 20, arrived_ns=int(n / 30 * 1e9 * 2)), waited_s=0.05)
        for n in range(900)
    ]
    assert len(list(fresh(iter(frames), dropped.append, where="cam"))) == 900
    assert not dropped


def test_a_hiccup_of_the_network_is_a_backlog_even_though_its_first_frame_was_waited_for() -> None:
    dropped: list[Drop] = []
    live = [
        dataclasses.replace(frame(n, pts_s=n * 0.1, arrived_ns=int(n * 1e8)), waited_s=0.1) for n in range(50)
    ]
    late = [
        dataclasses.replace(
            frame(n, pts_s=n * 0.1, arrived_ns=int(9e9 + n * 1e6)), waited_s=4.0 if n == 50 else 0.0
        )
        for n in range(50, 90)
    ]
    kept = [one.index for one in fresh(iter(live + late), dropped.append, where="cam")]
    assert kept[50] >= 70, "what is older than 2 s is not taken for new"


def test_a_stream_that_stays_behind_is_given_up_with_a_reason() -> None:
    # Each frame takes twice its time.
    slow = [frame(n, pts_s=n * 0.1, arrived_ns=int(n * 2e8)) for n in range(400)]
    with pytest.raises(EdgewardError, match="does not catch up") as caught:
        list(fresh(iter(slow), lambda _: None, where="cam"))
    assert caught.value.code is Code.SOURCE_LOST


def test_a_file_played_as_a_camera_comes_in_its_own_time() -> None:
    frames = [frame(n, pts_s=5 + n * 0.02) for n in range(6)]
    played = list(in_real_time(iter(frames), lambda _: None, threading.Event()))
    arrived = [one.arrived_ns for one in played]
    for earlier, later in itertools.pairwise(arrived):
        assert later >= earlier
    assert arrived[-1] - arrived[0] >= 0.09e9


def test_a_stop_ends_the_wait_for_a_frame_that_is_far_away() -> None:
    stopped = threading.Event()
    dropped: list[Drop] = []
    playing = in_real_time(iter([frame(0, pts_s=0.0), frame(1, pts_s=3600.0)]), dropped.append, stopped)
    next(playing)
    stopped.set()
    assert list(playing) == []
    assert dropped == [Drop.ENDED]
