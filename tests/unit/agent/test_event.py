"""An event says all that was found, stays as small as it can, and never grows over its limit unsaid."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link import event as events
from agent.link import messages
from agent.link.event import MAX_EVENT_BYTES, event, nothing_found
from runtime import ipc
from runtime.findings import (
    Classified,
    Detection,
    Findings,
    Inside,
    Keypoint,
    Mask,
    Segmentation,
    Tensor,
)

pytestmark = pytest.mark.unit

BOX = (1.0, 2.0, 3.0, 4.0)
PLAIN = Detection("thing", 0.5, BOX)


def result(**found: Any) -> ipc.Result:
    fields = {"stream": "cam", "session": 0, "frame": 7, "pts_s": None, "arrived_ns": 1, "done_ns": 2}
    return ipc.Result(**{**fields, "width": 640, "height": 480, **found})


def published(of: ipc.Result) -> dict[str, Any]:
    body = event("line", of, 2_000_001)
    return dict(json.loads(messages.encode(body, ts=0, ts_ok=True, boot="b", seq=0))["body"])


def mask(runs: int) -> Mask:
    return Mask(BOX, runs, 1, (1,) * runs)


def segmentation(runs: int) -> Segmentation:
    return Segmentation(box=BOX, width=runs, height=1, runs=((0, 1),) * runs, shares={"road": 1.0})


def test_a_plain_detection_is_three_fields_and_the_body_has_no_new_ones() -> None:
    body = published(result(detections=(PLAIN,)))
    assert body["detections"] == [{"label": "thing", "score": 0.5, "box": list(BOX)}]
    assert list(body) == [
        *("pipeline", "stream", "session", "frame", "pts_s", "arrived_ns", "latency_ms", "width", "height"),
        *("status", "why", "detections"),
    ]
    assert body["latency_ms"] == 2.0
    assert published(result())["detections"] == [], "nothing seen is said"


def test_everything_that_a_model_finds_is_in_the_event() -> None:
    inside = Inside(
        "plate", Findings(detections=(PLAIN,), classes=(Classified("blue", 0.25),), embedding=(1.0,))
    )
    thing = Detection(
        "car", 0.5, BOX, keypoints=(Keypoint("wheel", 1.0, 2.0, 0.75),), mask=mask(2), inside=(inside,)
    )
    body = published(
        result(
            detections=(thing,),
            classes=(Classified("street", 0.5),),
            segmentation=segmentation(1),
            embedding=(0.5, 0.25),
            tensors=(Tensor(name="out", dtype="int16", shape=(1, 2), data=b"\x01\x00\x02\x00"),),
        )
    )
    plain = {"label": "thing", "score": 0.5, "box": list(BOX)}
    assert body["detections"] == [
        {
            "label": "car",
            "score": 0.5,
            "box": list(BOX),
            "keypoints": [{"name": "wheel", "x": 1.0, "y": 2.0, "score": 0.75}],
            "mask": {"box": list(BOX), "width": 2, "height": 1, "runs": [1, 1]},
            "inside": [
                {
                    "stage": "plate",
                    "detections": [plain],
                    "classes": [{"label": "blue", "score": 0.25}],
                    "embedding": [1.0],
                }
            ],
        }
    ]
    assert body["classes"] == [{"label": "street", "score": 0.5}]
    assert body["segmentation"]["runs"] == [[0, 1]]
    assert body["segmentation"]["shares"] == {"road": 1.0}
    assert body["embedding"] == [0.5, 0.25]
    (tensor,) = body["tensors"]
    assert (tensor["dtype"], tensor["shape"]) == ("int16", [1, 2])
    assert base64.b64decode(tensor["data"]) == b"\x01\x00\x02\x00"


def test_an_old_reader_still_reads_the_event_and_a_new_one_an_old_event() -> None:
    class OldBody(msgspec.Struct):
        detections: tuple[dict[str, Any], ...]
        status: str

    thing = Detection("car", 0.5, BOX, keypoints=(Keypoint("wheel", 1.0, 2.0, 0.75),))
    new = messages.encode(
        event("line", result(detections=(thing,), embedding=(1.0,)), 2), ts=0, ts_ok=True, boot="", seq=0
    )
    old = msgspec.json.decode(msgspec.json.decode(new, type=messages.Envelope).body, type=OldBody)
    assert old.detections[0]["label"] == "car"
    assert messages.decode(new)[1] == event("line", result(detections=(thing,), embedding=(1.0,)), 2)


def test_masks_and_runs_that_do_not_fit_are_left_out_and_named() -> None:
    inner = Inside("part", Findings(detections=(Detection("in", 0.5, BOX, mask=mask(10)),)))
    things = (Detection("a", 0.5, BOX, mask=mask(300_000), inside=(inner,)), PLAIN)
    body = event("line", result(detections=things, segmentation=segmentation(5)), 2)
    assert body.left_out == ("masks", "segmentation")
    assert [one.label for one in body.detections] == ["a", "thing"]
    assert body.detections[0].mask is None
    assert body.detections[0].inside[0].detections[0].mask is None
    assert body.segmentation is not None
    assert (body.segmentation.runs, body.segmentation.shares) == ((), {"road": 1.0})
    assert body.status == "detections"
    only = event("line", result(segmentation=segmentation(100_000)), 2)
    assert only.left_out == ("segmentation",)


@pytest.mark.parametrize(
    "found",
    [
        {"tensors": (Tensor(name="out", dtype="uint8", shape=(1 << 20,), data=bytes(1 << 20)),)},
        {"detections": (PLAIN,) * 10_000},
        {"embedding": (0.1234567890123,) * 60_000},
        {
            "detections": (
                Detection("x", 0.5, BOX, inside=(Inside("s", Findings(embedding=(0.25,) * 200_000)),)),
            )
        },
    ],
    ids=["tensor", "detections", "embedding", "inside"],
)
def test_what_is_too_large_without_its_masks_is_told_as_failed_with_its_size(found: dict[str, Any]) -> None:
    body = event("line", result(**found), 2)
    assert body.status == "failed"
    assert "too large to be published" in body.why
    assert str(MAX_EVENT_BYTES) in body.why
    assert (body.detections, body.tensors, body.embedding) == ((), (), ())
    assert messages.size_of(body) < 1000


TEXT = st.text(max_size=8)
REAL = st.floats(allow_nan=False, allow_infinity=False)
BOXES = st.tuples(REAL, REAL, REAL, REAL)
MASKS = st.builds(Mask, BOXES, st.integers(0, 2**31), st.just(1), st.lists(st.integers(0, 2**31)).map(tuple))
KEYPOINTS = st.builds(Keypoint, TEXT, REAL, REAL, REAL)
CLASSES = st.lists(st.builds(Classified, TEXT, REAL), max_size=3).map(tuple)
SEGMENTATIONS = st.none() | st.builds(
    Segmentation,
    box=BOXES,
    width=st.integers(0, 9),
    height=st.integers(0, 9),
    runs=st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 2**31))).map(tuple),
    shares=st.dictionaries(TEXT, REAL, max_size=3),
)
TENSORS = st.builds(Tensor, name=TEXT, dtype=TEXT, shape=st.just((1, 2)), data=st.binary(max_size=50))
DETECTIONS = st.builds(
    Detection,
    TEXT,
    REAL,
    BOXES,
    st.lists(KEYPOINTS, max_size=2).map(tuple),
    st.none() | MASKS,
    st.lists(
        st.builds(Inside, TEXT, st.builds(Findings, classes=CLASSES, segmentation=SEGMENTATIONS)), max_size=2
    ).map(tuple),
)


@given(
    st.lists(DETECTIONS, max_size=3).map(tuple),
    CLASSES,
    SEGMENTATIONS,
    st.lists(REAL, max_size=5).map(tuple),
    st.lists(TENSORS, max_size=2).map(tuple),
)
def test_the_estimate_is_never_below_the_size_so_that_no_event_slips_through(
    detections: Any, classes: Any, segmentation: Any, embedding: Any, tensors: Any
) -> None:
    found = result(
        detections=detections,
        classes=classes,
        segmentation=segmentation,
        embedding=embedding,
        tensors=tensors,
    )
    body = event("line", found, 2)
    assert events._bound(found) >= messages.size_of(body) - len("line")
    raw = messages.encode(body, ts=0, ts_ok=True, boot="", seq=0)
    assert messages.decode(raw)[1] == body, "and it survives the way"


def test_nothing_found_is_nothing_of_any_kind() -> None:
    assert nothing_found(result())
    assert nothing_found(result(segmentation=msgspec.structs.replace(segmentation(1), shares={})))
    assert not nothing_found(result(detections=(PLAIN,)))
    assert not nothing_found(result(classes=(Classified("a", 0.5),)))
    assert not nothing_found(result(segmentation=segmentation(1)))
    assert not nothing_found(result(embedding=(0.0,)))
    assert not nothing_found(result(tensors=(Tensor(name="o", dtype="int8", shape=(), data=b""),)))
