"""The queue in front of the broker: bounded, oldest first, and every message is accounted for."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.link.queue import Outgoing, OutgoingQueue

pytestmark = pytest.mark.unit


def message(name: str, size: int = 1, *, retain: bool = False, deadline: float | None = None) -> Outgoing:
    return Outgoing(topic=name, payload=b"x" * size, kind=name, retain=retain, deadline=deadline)


def test_the_oldest_goes_first_when_it_is_full() -> None:
    queue = OutgoingQueue(max_count=2)
    for name in "abc":
        queue.put(message(name))
    assert [item.topic for item in queue.held()] == ["b", "c"]
    assert queue.counts()[1]["a"].dropped == {"full": 1}


def test_bytes_are_bounded_too() -> None:
    queue = OutgoingQueue(max_bytes=100)
    for name in "abc":
        queue.put(message(name, 40))
    assert queue.counts()[0] == 80


def test_only_the_newest_state_waits_and_it_goes_first() -> None:
    queue = OutgoingQueue()
    queue.put(message("event"))
    queue.put(message("health", 1, retain=True))
    queue.put(message("health", 2, retain=True))
    taken = queue.take()
    assert taken is not None
    assert (taken.topic, len(taken.payload)) == ("health", 2)
    assert queue.counts()[1]["health"].dropped == {"replaced": 1}


def test_what_was_under_way_comes_back_in_its_order() -> None:
    queue = OutgoingQueue()
    for name in "abc":
        queue.put(message(name))
    queue.take()
    queue.take()
    queue.put_back()
    assert [item.topic for item in queue.held()] == ["a", "b", "c"]


def test_what_is_too_old_is_dropped_and_counted() -> None:
    queue = OutgoingQueue()
    queue.put(message("metrics", deadline=0.0))
    assert queue.take() is None
    assert queue.counts()[1]["metrics"].dropped == {"expired": 1}
    assert queue.empty


def test_a_retained_message_that_arrived_is_queued_again_in_its_newest_form_only() -> None:
    queue = OutgoingQueue()
    queue.put(message("event"))
    queue.put(message("health", 1, retain=True))
    first = queue.take()
    assert first is not None
    queue.settle(first)
    queue.requeue_retained()
    assert [item.topic for item in queue.held()] == ["health", "event"]
    queue.put(message("health", 2, retain=True))
    queue.requeue_retained()
    assert [len(item.payload) for item in queue.held() if item.retain] == [2]


def test_a_retained_message_under_way_is_not_queued_twice() -> None:
    queue = OutgoingQueue()
    queue.put(message("health", retain=True))
    taken = queue.take()
    assert taken is not None
    queue.requeue_retained()
    assert queue.take() is None
    queue.settle(taken)
    assert queue.empty


class QueueMachine(RuleBasedStateMachine):
    """Any order of calls keeps ``enqueued = sent + queued + dropped`` and the bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = OutgoingQueue(max_count=5, max_bytes=300)
        self.taken: list[Outgoing] = []

    @rule(
        name=st.sampled_from("abc"),
        size=st.integers(0, 120),
        retain=st.booleans(),
        deadline=st.sampled_from([None, 0.0, 1e12]),
    )
    def put(self, name: str, size: int, retain: bool, deadline: float | None) -> None:
        self.queue.put(message(name, size, retain=retain, deadline=deadline))

    @rule()
    def take(self) -> None:
        taken = self.queue.take()
        if taken is not None:
            self.taken.append(taken)

    @rule(refused=st.booleans())
    def settle(self, refused: bool) -> None:
        if self.taken:
            if refused:
                self.queue.drop(self.taken.pop(), "refused")
            else:
                self.queue.settle(self.taken.pop(0))

    @rule()
    def requeue(self) -> None:
        self.queue.requeue_retained()

    @rule()
    def lose_the_connection(self) -> None:
        self.queue.put_back()
        self.taken.clear()

    @invariant()
    def all_are_accounted_for(self) -> None:
        held = self.queue.held()
        size, kinds = self.queue.counts()
        assert size == sum(len(item.payload) for item in held)
        for kind, counts in kinds.items():
            assert counts.queued == sum(item.kind == kind for item in held)
            assert counts.enqueued == counts.sent + counts.queued + sum(counts.dropped.values())
        assert len(held) <= 5 + 3 + len(self.taken)


TestQueueMachine = QueueMachine.TestCase
