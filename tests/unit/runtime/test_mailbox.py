"""The newest frame wins, every frame is accounted for, and no stream starves another."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.mailbox import Mailbox
from tests.unit.runtime.frames import frame

pytestmark = pytest.mark.unit


@given(st.lists(st.sampled_from(["put a", "put b", "take"]), max_size=60), st.integers(1, 3))
def test_every_frame_is_taken_replaced_or_waiting_exactly_once(steps: list[str], most: int) -> None:
    box = Mailbox(["a", "b"])
    put, waiting = 0, {}
    seen = []
    for step in steps:
        if step == "take":
            if waiting:
                taken = box.take(most)
                assert len(taken) == min(most, len(waiting))
                for stream, got in taken:
                    assert waiting.pop(stream) == got.index, "the newest of its stream"
                    seen.append(got.index)
        else:
            stream = step[-1]
            replaced = box.put(stream, frame(put))
            assert (replaced.index if replaced else None) == waiting.get(stream)
            if replaced:
                seen.append(replaced.index)
            waiting[stream] = put
            put += 1
    assert sorted([*seen, *waiting.values()]) == list(range(put))


def test_streams_take_turns_when_both_always_have_a_frame() -> None:
    box = Mailbox(["a", "b", "c"])
    served: Counter[str] = Counter()
    for index in range(30):
        for stream in "abc":
            box.put(stream, frame(index))
        ((stream, _),) = box.take()
        served[stream] += 1
    assert served == {"a": 10, "b": 10, "c": 10}


def test_a_batch_is_what_waits_and_the_stream_that_was_left_out_comes_next() -> None:
    box = Mailbox(["a", "b", "c"])
    for stream in "abc":
        box.put(stream, frame(1))
    assert [stream for stream, _ in box.take(2)] == ["a", "b"]
    for stream in "ab":
        box.put(stream, frame(2))
    assert [(stream, got.index) for stream, got in box.take(8)] == [("c", 1), ("a", 2), ("b", 2)]


def test_frames_that_wait_are_taken_before_the_end_is_told() -> None:
    box = Mailbox(["a"])
    box.put("a", frame(7))
    box.finish("a")
    assert [got.index for _, got in box.take()] == [7]
    assert box.take() == []


def test_a_frame_is_done_only_when_the_next_is_asked_for() -> None:
    box = Mailbox(["a", "b"])
    box.put("a", frame(1))
    box.take()
    done = threading.Event()
    waiter = threading.Thread(target=lambda: (box.wait_done("a"), done.set()))
    waiter.start()
    assert not done.wait(0.05), "the frame is still being worked on"
    box.put("b", frame(2))
    box.take()
    assert done.wait(5)
    waiter.join()


def test_closing_lets_every_waiting_thread_go() -> None:
    box = Mailbox(["a"])
    box.put("a", frame(1))
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(box.wait_free("a"))),
        threading.Thread(target=lambda: results.append(box.wait_done("a"))),
    ]
    for thread in threads:
        thread.start()
    box.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert box.take() == []
