"""A snapshot is the frame, in its colours and size, whatever the decoder gives; an answer always comes."""

from __future__ import annotations

import queue
import threading
from typing import Any

import cv2
import numpy as np
import pytest

from runtime import ipc, snapshot
from runtime.errors import Code
from runtime.findings import Detection, Keypoint
from runtime.snapshot import Snapshots
from runtime.source.frame import Frame, Picture, PixelFormat

pytestmark = pytest.mark.unit

RED, BLUE = (30, 30, 220), (220, 40, 30)  # BGR


def picture(width: int, height: int) -> Any:
    """Red on the left, blue on the right."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = RED, BLUE
    return image


def frame_of(image: Any, kind: PixelFormat, *, padding: int = 0) -> Frame:
    """The frame that a decoder of that layout gives; rows have ``padding`` bytes more than they need."""
    height, width = image.shape[:2]
    if kind == "bgr24":
        planes = [image.reshape(height, width * 3)]
    else:
        yuv = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).reshape(-1)
        size, half = width * height, (width // 2) * (height // 2)
        luma = yuv[:size].reshape(height, width)
        u, v = yuv[size : size + half], yuv[size + half :]
        u, v = (part.reshape(height // 2, width // 2) for part in (u, v))
        planes = [luma, u, v] if kind == "i420" else [luma, np.stack([u, v], 2).reshape(height // 2, width)]
    padded = [np.pad(plane, ((0, 0), (0, padding)), constant_values=99) for plane in planes]
    return Frame(
        picture=Picture(kind, width, height, "bt601", full_range=False),
        planes=tuple(np.ascontiguousarray(plane).tobytes() for plane in padded),
        strides=tuple(plane.shape[1] for plane in padded),
        index=7,
        session=1,
        pts_s=0.5,
        arrived_ns=123,
    )


def result(*found: Detection, width: int = 640, height: int = 480) -> ipc.Result:
    return ipc.Result(
        stream="cam",
        session=1,
        frame=7,
        pts_s=0.5,
        arrived_ns=123,
        done_ns=124,
        width=width,
        height=height,
        detections=found,
    )


def seen(answer: ipc.Snapshot) -> Any:
    image = cv2.imdecode(np.frombuffer(answer.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (answer.height, answer.width, 3)
    return image.astype(int)


def asked(**more: Any) -> ipc.TakeSnapshot:
    return ipc.TakeSnapshot(id=3, stream="cam", **more)


@pytest.mark.parametrize("kind", ["i420", "nv12", "bgr24"])
@pytest.mark.parametrize("padding", [0, 64])
def test_each_layout_gives_the_same_colours(kind: PixelFormat, padding: int) -> None:
    answer = snapshot.snapshot(asked(), frame_of(picture(322, 182), kind, padding=padding), result())
    assert (answer.id, answer.width, answer.height, answer.arrived_ns) == (3, 322, 182, 123)
    image = seen(answer)
    assert np.abs(image[90, 60] - RED).max() <= 8
    assert np.abs(image[90, 260] - BLUE).max() <= 8
    assert np.abs(image[:, :150] - RED).mean() < 4


def test_a_narrower_one_keeps_its_shape() -> None:
    answer = snapshot.snapshot(asked(max_width=160), frame_of(picture(640, 360), "i420"), result())
    assert (answer.width, answer.height) == (160, 90)
    assert np.abs(seen(answer)[45, 20] - RED).max() <= 8


@pytest.mark.parametrize(
    "box", [(-50.0, -50.0, 100.0, 100.0), (600.0, 400.0, 9000.0, 9000.0), (50.0, 50.0, 50.0, 50.0)]
)
def test_boxes_that_leave_the_picture_are_cut(box: tuple[float, float, float, float]) -> None:
    found = Detection("thing", 0.9, box, keypoints=(Keypoint("nose", -3.0, 5000.0, 0.9),))
    seen(snapshot.snapshot(asked(annotate=True), frame_of(picture(640, 480), "i420"), result(found)))


def test_a_box_is_drawn_at_its_place_in_the_scaled_picture() -> None:
    found = Detection("thing", 0.9, (100.0, 100.0, 300.0, 300.0))
    frame = frame_of(picture(640, 480), "nv12")
    plain = seen(snapshot.snapshot(asked(max_width=320), frame, result(found)))
    drawn = seen(snapshot.snapshot(asked(max_width=320, annotate=True), frame, result(found)))
    rows, columns = np.nonzero(np.abs(drawn - plain).max(axis=2) > 60)
    assert rows.min() == pytest.approx(50, abs=2)
    assert rows.max() == pytest.approx(150, abs=2)
    assert columns.min() == pytest.approx(50, abs=2)
    assert columns.max() == pytest.approx(150, abs=2)
    assert np.abs(drawn[90:110, 90:110] - plain[90:110, 90:110]).max() < 20


def test_a_picture_too_large_for_a_message_loses_quality_and_not_its_answer() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1600, 2560, 3), np.uint8)
    answer = snapshot.snapshot(asked(), frame_of(noise, "bgr24"), result())
    assert 1 << 20 < len(answer.jpeg) <= snapshot.MOST_JPEG_BYTES
    assert len(ipc.encode(answer)) <= ipc.MAX_FRAME


class Desk:
    """Requests, and the answers that came."""

    def __init__(self) -> None:
        self.answers: queue.Queue[ipc.FromWorker] = queue.Queue()
        self.snapshots = Snapshots(["cam", "other"], self.answers.put)

    def answer(self) -> ipc.Snapshot:
        got = self.answers.get(timeout=20)
        assert isinstance(got, ipc.Snapshot)
        return got


def test_everyone_who_asked_gets_the_next_frame_of_that_stream_once() -> None:
    desk, frame = Desk(), frame_of(picture(64, 48), "i420")
    desk.snapshots.offer("cam", frame, result())
    desk.snapshots.take(asked())
    desk.snapshots.take(ipc.TakeSnapshot(id=4, stream="cam"))
    desk.snapshots.offer("other", frame, result())
    assert desk.answers.empty()
    desk.snapshots.offer("cam", frame, result())
    assert {desk.answer().id, desk.answer().id} == {3, 4}
    desk.snapshots.offer("cam", frame, result())
    with pytest.raises(queue.Empty):
        desk.answers.get(timeout=0.1)


def test_whoever_asks_again_and_again_while_no_frame_comes_gets_no_crowd_of_threads() -> None:
    desk, frame = Desk(), frame_of(picture(64, 48), "i420")
    for number in range(1000):
        desk.snapshots.take(ipc.TakeSnapshot(id=number, stream="cam"))
    before = threading.active_count()
    desk.snapshots.offer("cam", frame, result())
    assert threading.active_count() <= before + 1
    last = snapshot._MOST_WAITING
    assert [desk.answer().id for _ in range(last)] == list(range(1000 - last, 1000))
    assert desk.answers.empty()


def test_what_cannot_be_done_is_answered_with_a_code() -> None:
    desk = Desk()
    desk.snapshots.take(ipc.TakeSnapshot(id=5, stream="nobody"))
    refused = desk.answer()
    assert (refused.id, refused.code, refused.jpeg) == (5, Code.CONTROL_UNKNOWN_STREAM.text, b"")
    broken = frame_of(picture(64, 48), "i420")
    desk.snapshots.take(asked())
    desk.snapshots.offer("cam", Frame(**{**_fields(broken), "planes": (b"", b"", b"")}), result())
    failed = desk.answer()
    assert failed.id == 3
    assert failed.code in {Code.CONTROL_NO_PICTURE.text, Code.INTERNAL.text}


def _fields(frame: Frame) -> dict[str, Any]:
    return {name: getattr(frame, name) for name in Frame.__slots__}
