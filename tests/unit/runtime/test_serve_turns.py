"""Requests run between frames, never instead of them; what cannot run in time is told so and is not run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import Code, EdgewardError
from runtime.mailbox import Mailbox
from runtime.serve import turns as module
from runtime.serve.refusal import Refused
from runtime.serve.served_model import Work
from runtime.serve.turns import Job, Turns
from tests.unit.runtime.frames import frame

pytestmark = pytest.mark.unit


class Clock:
    """Stands in for the module's time, so that nothing here waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def turns(max_queue: int = 4, max_share: float = 0.1) -> Turns:
    return Turns(max_queue=max_queue, max_share=max_share, wake=lambda: None)


def work(
    log: list[str], name: str, *, steps: int = 1, clock: Clock | None = None, each_s: float = 0.0
) -> Work:
    for at in range(steps):
        if clock is not None:
            clock.now += each_s
        log.append(name)
        if at < steps - 1:
            yield
    return [np.array([steps])]


def never_held(since: float, until: float) -> float:
    return 0.0


def always_held(since: float, until: float) -> float:
    return until - since


def test_requests_run_in_their_order_and_several_steps_are_several_turns(clock: Clock) -> None:
    log: list[str] = []
    queue = turns()
    first, second = (queue.submit(work(log, name, steps=2), None) for name in ("a", "b"))
    for expected in (["a"], ["a", "a"], ["a", "a", "b"], ["a", "a", "b", "b"]):
        queue.take(never_held)
        assert log == expected
    assert first.done.is_set()
    assert second.outputs[0] == 2
    assert queue.due_in_s() is None


def test_a_full_queue_refuses_at_once_and_takes_again_when_there_is_room(clock: Clock) -> None:
    queue = turns(max_queue=2)
    log: list[str] = []
    queue.submit(work(log, "a"), None)
    queue.submit(work(log, "b"), None)
    with pytest.raises(Refused, match="2 requests wait already"):
        queue.check_room()
    with pytest.raises(Refused, match="2 requests wait already") as caught:
        queue.submit(work(log, "c"), None)
    assert caught.value.status == "RESOURCE_EXHAUSTED"
    queue.take(never_held)
    queue.check_room()
    queue.submit(work(log, "d"), None)
    assert queue.waiting == 2


def test_what_is_overdue_is_told_so_and_never_run(clock: Clock) -> None:
    queue = turns()
    log: list[str] = []
    late = queue.submit(work(log, "late"), clock.now + 1)
    on_time = queue.submit(work(log, "on time"), clock.now + 10)
    clock.now += 1
    queue.take(never_held)
    assert log == ["on time"]
    assert late.error is not None
    assert late.error.status == "DEADLINE_EXCEEDED"
    assert on_time.done.is_set()
    with pytest.raises(Refused, match="the model was not run"):
        queue.submit(work(log, "too late"), clock.now)


def test_a_deadline_that_passes_between_two_steps_ends_the_request(clock: Clock) -> None:
    queue = turns()
    log: list[str] = []
    job = queue.submit(work(log, "a", steps=3, clock=clock, each_s=0.6), clock.now + 1)
    for _ in range(3):
        queue.take(never_held)
    assert log == ["a", "a"]
    assert job.error is not None
    assert job.error.status == "DEADLINE_EXCEEDED"


def test_a_cancelled_request_leaves_the_queue_and_is_not_run(clock: Clock) -> None:
    queue = turns(max_queue=1)
    log: list[str] = []
    job = queue.submit(work(log, "a"), None)
    queue.cancel(job)
    assert queue.due_in_s() is None
    queue.submit(work(log, "b"), None)
    queue.take(never_held)
    assert log == ["b"]


def test_a_request_that_held_up_a_frame_makes_the_next_one_wait_in_proportion(clock: Clock) -> None:
    queue = turns(max_share=0.1)
    log: list[str] = []
    for name in "ab":
        queue.submit(work(log, name, clock=clock, each_s=0.02), None)
    queue.take(always_held)
    assert queue.due_in_s() == pytest.approx(0.18)  # of 0.2 s frames were held up for 0.02
    queue.take(always_held)
    assert log == ["a"]
    clock.now += 0.1801
    queue.take(always_held)
    assert log == ["a", "b"]


def test_requests_that_hold_up_nothing_follow_one_another(clock: Clock) -> None:
    queue = turns()
    log: list[str] = []
    for name in "abc":
        queue.submit(work(log, name, clock=clock, each_s=0.02), None)
        queue.take(never_held)
    assert log == ["a", "b", "c"]


def test_slowed_down_requests_rest_even_when_no_frame_waits(clock: Clock) -> None:
    queue = turns()
    queue.slow_down(0.25)
    log: list[str] = []
    for name in "ab":
        queue.submit(work(log, name, clock=clock, each_s=0.02), None)
    queue.take(never_held)
    assert queue.due_in_s() == pytest.approx(0.06)
    queue.slow_down(0.0)  # as slow as can be, not never
    assert queue.due_in_s() is not None


def test_closing_refuses_what_waits_and_what_comes(clock: Clock) -> None:
    queue = turns()
    log: list[str] = []
    begun = queue.submit(work(log, "begun", steps=2), None)
    waits = queue.submit(work(log, "waits"), None)
    queue.take(never_held)
    queue.close()
    for job in (begun, waits):
        assert job.done.is_set()
        assert job.error is not None
        assert job.error.status == "UNAVAILABLE"
    with pytest.raises(Refused, match="this worker stops"):
        queue.submit(work(log, "late"), None)
    queue.take(never_held)
    assert log == ["begun"]


def test_a_model_that_fails_is_an_answer_and_not_the_end(clock: Clock) -> None:
    def broken() -> Work:
        raise EdgewardError(Code.MODEL_RUN, "bad node", where="made")
        yield

    queue = turns()
    log: list[str] = []
    job = queue.submit(broken(), None)
    queue.submit(work(log, "next"), None)
    queue.take(never_held)
    queue.take(never_held)
    assert job.error is not None
    assert (job.error.status, job.error.text) == (
        "INTERNAL",
        "the model failed: made: bad node [model.run]",
    )
    assert log == ["next"]


@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0.02, 0.9),
    request_s=st.floats(0.001, 0.3),
    frame_s=st.floats(0.001, 0.2),
)
def test_frames_that_always_wait_keep_their_share_of_the_time(
    share: float, request_s: float, frame_s: float
) -> None:
    """The loop of the inference thread with a clock of its own: frames and requests without end."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        queue = turns(max_queue=1, max_share=share)
        frames_s = 0.0
        begun = clock.now
        log: list[str] = []
        while clock.now - begun < 200 * (request_s + frame_s):
            if queue.waiting == 0:
                queue.submit(work(log, "a", clock=clock, each_s=request_s), None)
            queue.take(always_held)
            clock.now += frame_s
            frames_s += frame_s
        passed = clock.now - begun
        assert frames_s >= (1 - share) * passed - request_s
        assert len(log) > 1, "requests get on as well"


def test_the_box_hands_out_frames_before_anything_else() -> None:
    box = Mailbox(["a"])
    box.put("a", frame(1))
    assert box.wait(lambda: 0.0)
    assert box.take()
    assert not box.wait(lambda: 0.0)


def test_whoever_waits_for_frames_is_woken_for_something_else() -> None:
    box = Mailbox(["a"])
    due: list[float | None] = [None]
    woken: list[Any] = []
    thread = threading.Thread(target=lambda: woken.append(box.wait(lambda: due[0])))
    thread.start()
    due[0] = 0.0
    box.wake()
    thread.join(10)
    assert woken == [False]


def test_the_box_waits_no_longer_than_until_something_else_is_due() -> None:
    box = Mailbox(["a"])
    due = iter([0.01, 0.0])
    assert not box.wait(lambda: next(due))


@pytest.fixture
def waiting_box() -> Iterator[Mailbox]:
    box = Mailbox(["a", "b"])
    yield box
    box.close()


def test_how_long_a_frame_waited_is_counted_from_when_it_came(waiting_box: Mailbox) -> None:
    before = time.monotonic()
    assert waiting_box.held_up_s(before, before + 5) == 0.0
    waiting_box.put("a", frame(1))
    after = time.monotonic()
    assert waiting_box.held_up_s(before, after + 5) == pytest.approx(5, abs=after - before + 1e-6)
    assert waiting_box.held_up_s(after + 1, after + 5) == pytest.approx(4)
    waiting_box.put("b", frame(1))
    waiting_box.take(8)
    assert waiting_box.held_up_s(before, after + 5) == 0.0


def test_a_job_knows_how_long_it_waited_and_ran(clock: Clock) -> None:
    queue = turns()
    log: list[str] = []
    job: Job = queue.submit(work(log, "a", clock=clock, each_s=0.5), None)
    clock.now += 2
    queue.take(never_held)
    assert (job.waited_s, job.ran_s) == (2.0, 0.5)
