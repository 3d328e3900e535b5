"""Envelopes survive the way, strangers' fields are ignored, and ids are what the RFC says."""

from __future__ import annotations

import json
import time
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link import messages
from agent.link.clock import WallClock, read_boot_id
from agent.link.composer import Composer

pytestmark = pytest.mark.unit

TEXT = st.text(max_size=20)
REAL = st.floats(allow_nan=False, allow_infinity=False)
BOX = st.tuples(REAL, REAL, REAL, REAL)
DETECTED = st.builds(messages.Detected, label=TEXT, score=REAL, box=BOX)
BODIES = st.builds(
    messages.Detections,
    pipeline=TEXT,
    stream=TEXT,
    session=st.integers(0, 9),
    frame=st.integers(0, 2**40),
    pts_s=st.none() | REAL,
    arrived_ns=st.integers(0, 2**62),
    latency_ms=REAL,
    width=st.integers(0, 10_000),
    height=st.integers(0, 10_000),
    status=st.sampled_from(["detections", "skipped", "failed"]),
    why=TEXT,
    detections=st.lists(DETECTED, max_size=3).map(tuple),
)


@given(BODIES, st.integers(0, 2**60), st.booleans(), TEXT, st.integers(0, 2**60))
def test_a_message_survives_the_way(
    body: messages.Detections, ts: int, ts_ok: bool, boot: str, seq: int
) -> None:
    envelope, read = messages.decode(messages.encode(body, ts=ts, ts_ok=ts_ok, boot=boot, seq=seq))
    assert read == body
    assert (envelope.v, envelope.type, envelope.ts, envelope.ts_ok) == (1, "event.detections", ts, ts_ok)
    assert (envelope.boot, envelope.seq) == (boot, seq)


def test_unknown_fields_and_types_are_no_error() -> None:
    status = messages.Status(state="online", session="s", reason="started", version="1")
    document = json.loads(messages.encode(status, ts=1, ts_ok=True, boot="b", seq=0))
    document["future"] = {"x": 1}
    document["body"]["future"] = [1]
    assert messages.decode(json.dumps(document).encode())[1] == status
    document["type"] = "from-the-future"
    assert messages.decode(json.dumps(document).encode())[1] is None


@given(st.binary(max_size=60))
def test_garbage_is_a_decode_error_and_nothing_else(payload: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        messages.decode(payload)


def test_uuid7_is_of_version_7_and_sorts_by_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [messages.uuid7() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    parsed = [uuid.UUID(text) for text in ids]
    assert all(item.version == 7 and item.variant == uuid.RFC_4122 for item in parsed)
    assert all(before <= item.int >> 80 <= after for item in parsed)
    assert len(set(ids)) == 1000
    prefixes = [text[:18] for text in ids]
    assert prefixes == sorted(prefixes)


def test_each_topic_counts_for_itself_and_a_will_uses_up_nothing() -> None:
    composer = Composer(WallClock())
    status = messages.Status(state="online", session="s", reason="started", version="1")
    seqs = [messages.decode(composer.compose(topic, status))[0].seq for topic in ("a", "a", "b")]
    assert seqs == [0, 1, 0]
    assert messages.decode(composer.compose_will("a", status))[0].seq == 2
    assert messages.decode(composer.compose("a", status))[0].seq == 2


def test_the_clock_knows_its_boot_and_the_past() -> None:
    clock = WallClock()
    uuid.UUID(read_boot_id())
    assert isinstance(clock.synchronised(), bool)
    assert abs(clock.at_ms(time.monotonic_ns() - 5_000_000_000) - (clock.now_ms() - 5000)) < 100
