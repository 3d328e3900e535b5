"""The session remembers what the broker refuses, says it once, and forgets it when the broker takes it."""

from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from agent.config import Mqtt
from agent.link.clock import WallClock
from agent.link.composer import Composer
from agent.link.connection import Connection
from agent.link.messages import Status
from agent.link.queue import Outgoing, OutgoingQueue
from agent.link.session import Session
from agent.link.topics import Topics

pytestmark = pytest.mark.unit

REFUSED = ReasonCode(PacketTypes.PUBACK, "Not authorized")
ACCEPTED = ReasonCode(PacketTypes.PUBACK, "Success")


def make_session(changes: list[None]) -> Session:
    composer = Composer(WallClock())
    return Session(
        Mqtt(), Topics("d"), composer, device="d", version="1", on_change=lambda: changes.append(None)
    )


def test_two_refused_topics_are_told_once_each_until_they_are_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    changes: list[None] = []
    session = make_session(changes)
    for _ in range(5):
        session._refused("a", REFUSED)
        session._refused("b", REFUSED)
        session._accepted("c")
    assert session.state.refused_topic == "a, b"
    assert len(changes) == 2
    assert sum("refuses messages" in record.message for record in caplog.records) == 2
    session._accepted("a")
    session._accepted("a")
    assert session.state.refused_topic == "b"
    session._accepted("b")
    assert session.state.refused_topic == ""
    assert len(changes) == 4


def test_each_acknowledgement_is_told_with_its_topic() -> None:
    queue = OutgoingQueue()
    connection = Connection(Mqtt(), "d", queue, -1)
    told: list[tuple[str, bool]] = []
    connection._refused = lambda topic, _reason: told.append((topic, False))
    connection._accepted = lambda topic: told.append((topic, True))
    for mid, (topic, reason) in enumerate([("a", REFUSED), ("b", ACCEPTED)]):
        queue.put(Outgoing(topic=topic, payload=b"", kind="event"))
        taken = queue.take()
        assert taken is not None
        connection._in_flight[mid] = taken
        connection._on_publish(None, None, mid, reason, None)
    assert told == [("a", False), ("b", True)]
    assert queue.empty


def test_a_reconnect_sends_the_newest_state_once() -> None:
    session = make_session([])
    topic = "t"
    for state in ("online", "offline"):
        body = Status(state=state, session=session.id, reason="started", version="1")  # type: ignore[arg-type]
        session.publish(topic, body, kind="health", retain=True)
    newest = session.queue.take()
    assert newest is not None
    session.queue.settle(newest)
    session._greet()
    assert [item for item in session.queue.held() if item.topic == topic] == [newest]
