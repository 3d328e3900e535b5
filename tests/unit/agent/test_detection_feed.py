"""Who follows detections gets them all, or is told how many were lost; nobody pays when nobody follows."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from agent.control import detections
from agent.control.detections import DetectionFeed, Seen
from agent.link.messages import Detections

pytestmark = pytest.mark.unit


def body(frame: int, pipeline: str = "line", why: str = "") -> Detections:
    return Detections(
        pipeline=pipeline,
        stream="cam",
        session=0,
        frame=frame,
        pts_s=None,
        arrived_ns=0,
        latency_ms=1.0,
        width=1,
        height=1,
        status="detections",
        why=why,
        detections=(),
    )


async def followed(feed: DetectionFeed, offers: list[Detections], pipeline: str = "") -> list[Seen]:
    """What a follower reads that was asleep while all of ``offers`` came, and wakes with one more."""
    source = feed.follow(pipeline)
    first = asyncio.ensure_future(anext(source))
    await asyncio.sleep(0)
    feed.offer(offers[0], 1)
    found = [await first]
    for offer in offers[1:]:
        feed.offer(offer, 2)
    feed.offer(body(-1, pipeline or "line"), 3)
    while '"frame":-1,' not in found[-1].json:
        found.append(await anext(source))
    await source.aclose()  # type: ignore[attr-defined]
    return found


def test_all_come_in_order() -> None:
    found = asyncio.run(followed(DetectionFeed(), [body(number) for number in range(50)]))
    assert [one.lost for one in found] == [0] * 51
    assert all(f'"frame":{number},' in one.json for number, one in enumerate(found[:50]))


def test_only_the_pipeline_that_was_named() -> None:
    offers = [body(0, "b"), body(1, "a"), body(2, "b")]
    assert [one.pipeline for one in asyncio.run(followed(DetectionFeed(), offers, "b"))] == ["b"] * 3


@pytest.mark.parametrize(("count", "why"), [(5000, ""), (300, "x" * 20_000)], ids=["many", "large"])
def test_a_follower_that_sleeps_is_bounded_and_told_what_it_lost(count: int, why: str) -> None:
    found = asyncio.run(followed(DetectionFeed(), [body(number, why=why) for number in range(count)]))
    kept = found[1:]
    assert len(kept) <= detections.MOST_WAITING
    assert sum(len(one.json) for one in kept) <= detections.MOST_WAITING_BYTES
    assert len(found) + sum(one.lost for one in found) == count + 1


def test_nothing_is_encoded_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = DetectionFeed()
    asyncio.run(followed(feed, [body(0)]))
    monkeypatch.setattr(msgspec.json, "encode", lambda _: pytest.fail("encoded for nobody"))
    feed.offer(body(1), 1)
