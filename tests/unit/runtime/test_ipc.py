"""Frames between agent and worker survive any cut of the byte stream, and garbage is refused."""

from __future__ import annotations

import contextlib
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import ipc
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

MESSAGES: list[ipc.FromWorker] = [
    ipc.Ready(bundle="b", version="1.0.0", engine="e", provider="p", load_ms=1.5, labels=("x", "ü")),
    ipc.StreamChanged(stream="s", state="waiting", mono_ns=5, code="source.lost", retry_in_s=0.5),
    ipc.Result(
        stream="s",
        session=1,
        frame=2,
        pts_s=None,
        arrived_ns=3,
        done_ns=4,
        width=5,
        height=6,
        detections=(ipc.Detection("x", 0.5, (1.0, 2.0, 3.0, 4.0)),),
    ),
    ipc.Metrics(
        mono_ns=1, streams={"s": ipc.StreamCounters(dropped={"newer": 3})}, cpu_s={"infer": 0.5}, rss_mb=9
    ),
    ipc.Fatal(code="model.load", what="no"),
    ipc.Stopped(reason="stop"),
]


@given(st.lists(st.sampled_from(MESSAGES), max_size=8), st.data())
def test_messages_arrive_whole_and_in_order_however_the_stream_is_cut(
    messages: list[ipc.FromWorker], data: st.DataObject
) -> None:
    wire = b"".join(ipc.encode(message) for message in messages)
    reader = ipc.FrameReader()
    heard = []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        heard += [ipc.decode_from_worker(payload) for payload in reader.feed(wire[:cut])]
        wire = wire[cut:]
    assert heard == messages


def test_a_frame_that_announces_too_much_is_refused_before_it_is_awaited() -> None:
    with pytest.raises(EdgewardError) as caught:
        ipc.FrameReader().feed(b"\xff\xff\xff\xff")
    assert caught.value.code is Code.WORKER_PROTOCOL


@given(st.binary(max_size=200))
def test_garbage_is_an_error_of_ours_and_never_another_exception(payload: bytes) -> None:
    for decode in (ipc.decode_from_worker, ipc.decode_to_worker):
        with contextlib.suppress(EdgewardError):
            decode(payload)


def test_a_message_of_a_newer_version_with_more_fields_is_understood() -> None:
    payload = msgspec.msgpack.encode({"t": "stopped", "reason": "stop", "a_new_field": 1})
    assert ipc.decode_from_worker(payload) == ipc.Stopped(reason="stop")


def test_the_name_of_a_file_that_is_no_utf8_is_an_error_that_shows_it() -> None:
    spec = ipc.StreamSpec(name="film", url=os.fsdecode(b"caf\xe9.mp4"))
    start = ipc.Start(pipeline="p", bundle_dir="b", manifest_sha256="", streams=(spec,))
    with pytest.raises(EdgewardError, match=r"caf\\udce9\.mp4: is no UTF-8") as refused:
        ipc.encode(start)
    assert refused.value.code is Code.USAGE
