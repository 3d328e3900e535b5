"""What every decoder of detectors keeps: boxes in the frame, best first, no more than asked for, no crash."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from detect_reference import CROP, FRAME, LETTERBOX
from hypothesis import given, settings
from hypothesis import strategies as st

import native

pytestmark = pytest.mark.unit

Arrays = Sequence[np.ndarray]
SIZE = {"input_width": 64, "input_height": 32}
GRID = {**SIZE, "strides": (8, 16)}
UNITS = {"unit_x": 64.0, "unit_y": 32.0}
ANCHORS = [[10.0, 13.0, 30.0, 20.0], [30.0, 61.0, 62.0, 45.0]]
PRIORS = np.full((40, 4), 0.3, np.float32)
DISTANCES = 4 * 8

# Name, the outputs' shapes, and the call with its own arguments.
DECODERS: dict[str, tuple[list[tuple[int, ...]], Callable[..., Any]]] = {
    "yolox": ([(40, 9)], lambda a, **k: native.decode_yolox(a[0], **GRID, **k)),
    "yolov5": ([(40, 9)], lambda a, **k: native.decode_yolov5(a[0], **UNITS, **k)),
    "yolov5_heads": (
        [(18, 4, 8), (18, 2, 4)],
        lambda a, **k: native.decode_yolov5_heads(a, anchors=ANCHORS, channels_first=True, **GRID, **k),
    ),
    "yolov8": (
        [(9, 600)],
        lambda a, **k: native.decode_yolov8(a[0], classes=5, channels_first=True, **UNITS, **k),
    ),
    "yolov8_rows": (
        [(600, 25)],
        lambda a, **k: native.decode_yolov8(a[0], classes=20, channels_first=False, **UNITS, **k),
    ),
    "dfl_rows": (
        [(40, 4 + DISTANCES)],
        lambda a, **k: native.decode_dfl(a, classes=4, reg_max=7, layout="rows", **GRID, **k),
    ),
    "dfl_maps": (
        [(DISTANCES, 4, 8), (4, 4, 8), (DISTANCES, 2, 4), (4, 2, 4)],
        lambda a, **k: native.decode_dfl(a, classes=4, reg_max=7, layout="maps", sigmoid=True, **GRID, **k),
    ),
    "fastestdet": ([(9, 5, 8)], lambda a, **k: native.decode_fastestdet(a[0], **UNITS, **k)),
    "ssd": (
        [(40, 4), (40, 5)],
        lambda a, **k: native.decode_ssd(*a, PRIORS, activation="softmax", **UNITS, **k),
    ),
    "corners": ([(40, 4), (40, 3)], lambda a, **k: native.decode_corners(*a, **UNITS, **k)),
    "rows": ([(40, 6)], lambda a, **k: native.decode_rows(a[0], **UNITS, **k)),
    "yunet": (
        [(32, 1), (8, 1), (32, 1), (8, 1), (32, 4), (8, 4)],
        lambda a, **k: native.decode_yunet(a, **GRID, **k),
    ),
}
every_decoder = pytest.mark.parametrize("name", DECODERS)


def seen(name: str, seed: int = 0) -> list[np.ndarray]:
    """Outputs that see much: numbers between 0 and 1."""
    rng = np.random.default_rng(seed)
    return [rng.random(shape, dtype=np.float32) for shape in DECODERS[name][0]]


def decode(name: str, outputs: Arrays, **limits: Any) -> tuple[np.ndarray, np.ndarray, int]:
    found: tuple[np.ndarray, np.ndarray, int] = DECODERS[name][1](
        outputs, **{"score_threshold": 0.2, "iou_threshold": 1.0, **FRAME, **limits}
    )
    return found


@every_decoder
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), place=st.sampled_from([FRAME, LETTERBOX, CROP]))
def test_arbitrary_bits_never_yield_a_box_that_is_not_in_the_frame(
    name: str, seed: int, place: dict[str, float]
) -> None:
    rng = np.random.default_rng(seed)
    bits = [rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32) for shape in DECODERS[name][0]]
    boxes, rows, broken = decode(name, bits, score_threshold=0.0, **place)
    assert np.isfinite(boxes).all()
    assert (boxes[:, :4] >= 0).all()
    assert (boxes[:, 2] <= place["frame_width"]).all()
    assert (boxes[:, 3] <= place["frame_height"]).all()
    assert (boxes[:, :2] < boxes[:, 2:4]).all()
    assert (np.diff(boxes[:, 4]) <= 0).all()
    assert len(rows) == len(boxes)
    assert broken >= 0


@every_decoder
def test_outputs_full_of_nan_are_told_from_an_empty_picture(name: str) -> None:
    nothing = [
        np.full(shape, -20 if "maps" in name or "heads" in name else 0, np.float32)
        for shape in DECODERS[name][0]
    ]
    boxes, rows, broken = decode(name, nothing, score_threshold=0.5)
    assert (boxes.shape, rows.shape, broken) == ((0, 6), (0,), 0)
    boxes, rows, broken = decode(name, [np.full_like(output, np.nan) for output in nothing])
    assert (boxes.shape, rows.shape) == ((0, 6), (0,))
    assert broken >= 40


@every_decoder
def test_each_box_says_from_which_row_it_came(name: str) -> None:
    boxes, rows, _ = decode(name, seen(name))
    assert len(boxes) > 5
    assert len(set(rows.tolist())) == len(rows)
    few, again, _ = decode(name, seen(name), max_detections=3)
    assert np.array_equal(few, boxes[:3])
    assert np.array_equal(again, rows[:3])


@every_decoder
def test_limits_keep_the_best(name: str) -> None:
    everything, _, _ = decode(name, seen(name))
    for limit in ("max_detections", "max_candidates"):
        assert np.array_equal(decode(name, seen(name), **{limit: 4})[0], everything[:4])
    # More than a thousand candidates' worth of thinning out must not change who is best.
    assert np.array_equal(decode(name, seen(name), max_candidates=1)[0], everything[:1])


@every_decoder
def test_a_score_equal_to_the_threshold_passes(name: str) -> None:
    boxes, _, _ = decode(name, seen(name))
    for at in (0, len(boxes) // 2, len(boxes) - 1):
        threshold = float(boxes[at, 4])
        passed, _, _ = decode(name, seen(name), score_threshold=threshold)
        assert len(passed) == np.count_nonzero(boxes[:, 4] >= threshold)


@every_decoder
def test_suppression_is_by_class_unless_told_otherwise(name: str) -> None:
    outputs = seen(name)
    apart, _, _ = decode(name, outputs, iou_threshold=0.1)
    together, _, _ = decode(name, outputs, iou_threshold=0.1, class_agnostic=True)
    everything, _, _ = decode(name, outputs)
    assert len(together) <= len(apart) <= len(everything)
    assert len(together) < len(everything)


@every_decoder
def test_placements_lead_back_to_the_source(name: str) -> None:
    """A tensor twice as large, moved by (5, 3) from a crop at (20, 10), is the same picture."""
    large = {"frame_width": 1000.0, "frame_height": 1000.0, "crop_x": 200.0, "crop_y": 100.0}
    plain, rows, _ = decode(name, seen(name), **large)
    moved, again, _ = decode(name, seen(name), scale_x=2.0, scale_y=4.0, pad_x=5.0, pad_y=3.0, **large)
    assert np.array_equal(rows, again)
    np.testing.assert_allclose((plain[:, 0:4:2] - 200 - 5) / 2 + 200, moved[:, 0:4:2], atol=1e-3)
    np.testing.assert_allclose((plain[:, 1:4:2] - 100 - 3) / 4 + 100, moved[:, 1:4:2], atol=1e-3)


def test_a_part_of_a_picture_ends_on_the_left_and_above_as_it_does_on_the_right_and_below() -> None:
    """A part at (100, 100), 100x200 amid a tensor of 32x32: 8 columns of padding at each side."""
    place = {"scale_x": 0.16, "scale_y": 0.16, "pad_x": 8.0, "crop_x": 100.0, "crop_y": 100.0}
    part = {**place, "frame_left": 100.0, "frame_top": 100.0, "frame_width": 200.0, "frame_height": 300.0}
    rows = np.array([[0, 2, 7, 9, 0.9, 0], [25, 2, 31, 9, 0.8, 0], [4, -5, 28, 40, 0.7, 0]], np.float32)
    boxes, found, broken = native.decode_rows(rows, score_threshold=0.5, **part)
    assert (found.tolist(), broken) == ([2], 0)
    assert boxes[0, :4].tolist() == [100, 100, 200, 300]


@pytest.mark.parametrize(("side", "kept", "broken"), [(1e19, 1, 0), (1.5e19, 0, 2), (3e38, 0, 2)])
def test_equal_boxes_of_any_size_are_one_box_or_a_fault(side: float, kept: int, broken: int) -> None:
    rows = np.array([[0, 0, side, side, score, 0] for score in (0.8, 0.9)], np.float32)
    boxes, _, wrong = native.decode_rows(rows, score_threshold=0.5, **FRAME)
    assert (len(boxes), wrong) == (kept, broken)


class MadeOnTheFly(Sequence[np.ndarray]):
    """Nobody else holds what it gives."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, at: Any) -> Any:
        return self._arrays[at].copy()


@pytest.mark.parametrize("name", ["yolov5_heads", "dfl_rows", "dfl_maps", "yunet"])
def test_outputs_that_nobody_else_holds_are_held_while_they_are_read(name: str) -> None:
    outputs = seen(name)
    boxes, rows, broken = decode(name, MadeOnTheFly(outputs))
    expected = decode(name, outputs)
    assert np.array_equal(boxes, expected[0])
    assert (rows.tolist(), broken) == (expected[1].tolist(), expected[2])


@every_decoder
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"score_threshold": -0.1}, "score_threshold and iou_threshold must be 0..1"),
        ({"iou_threshold": float("nan")}, "score_threshold and iou_threshold must be 0..1"),
        ({"max_detections": 0}, "max_candidates and max_detections must be 1 or more"),
        ({"scale_y": 0.0}, "scale_x, scale_y, frame_width and frame_height"),
        ({"frame_width": float("inf")}, "scale_x, scale_y, frame_width and frame_height"),
        ({"crop_x": float("nan")}, "pad_x, pad_y, crop_x and crop_y"),
        ({"frame_left": -1.0}, "frame_left and frame_top must be 0 or more"),
        ({"frame_left": FRAME["frame_width"]}, "and less than frame_width, frame_height"),
        ({"frame_top": float("nan")}, "frame_left and frame_top must be 0 or more"),
    ],
)
def test_limits_out_of_range_are_refused(name: str, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(name, seen(name), **change)


@every_decoder
def test_memory_that_is_not_in_rows_of_float32_is_refused(name: str) -> None:
    outputs = seen(name)
    with pytest.raises(ValueError, match="float64"):
        decode(name, [*outputs[:-1], outputs[-1].astype(np.float64)])
    with pytest.raises(ValueError, match="C-contiguous"):
        decode(name, [*outputs[:-1], np.repeat(outputs[-1], 2, axis=-1)[..., ::2]])
    with pytest.raises(TypeError, match="buffer protocol"):
        decode(name, [*outputs[:-1], 17])  # type: ignore[list-item]


@pytest.fixture
def no_forced_switches() -> Iterator[None]:
    """A thread gives the interpreter away only when it wants to."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(100)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("no_forced_switches")
def test_other_threads_get_on_while_a_decoder_runs() -> None:
    """Only a call without the GIL lets the other count; where all cores are busy not every such call."""
    output = np.zeros((100_000, 84), np.float32)
    counted, running = [0], threading.Event()

    def count() -> None:
        running.set()
        while running.is_set():
            counted[0] += 1
            time.sleep(0)

    def decode_and_count() -> int:
        before = counted[0]
        native.decode_yolov8(output, classes=80, channels_first=False, score_threshold=0.5, **FRAME)
        return counted[0] - before

    counter = threading.Thread(target=count)
    counter.start()
    running.wait()
    switched = [decode_and_count() for _ in range(50)]
    running.clear()
    counter.join()
    assert max(switched) > 0
