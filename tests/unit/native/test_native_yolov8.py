"""YOLOv8's head is decoded the same in both layouts, whatever stands behind the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detect_reference import ALL, FRAME, OVERLAPS, PLACES, THRESHOLDS, compare
from detect_reference import head as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from runtime.bundle import decoders as declared
from runtime.golden.reference import heads

pytestmark = pytest.mark.unit


def head(seed: int, rows: int, classes: int, extra: int) -> np.ndarray:
    """``[N, 4 + C + E]`` in fractions; class scores of which few are high."""
    rng = np.random.default_rng(seed)
    output = rng.random((rows, 4 + classes + extra), dtype=np.float32)
    output[:, 4:] **= 4
    return output


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    rows=st.one_of(st.integers(1, 200), st.sampled_from([511, 512, 513, 1030])),
    classes=st.integers(1, 81),
    extra=st.integers(0, 3),
    threshold=st.sampled_from([0.6, 0.9, 0.99]),
    overlap=OVERLAPS,
    place=PLACES,
    channels_first=st.booleans(),
    batched=st.booleans(),
    agnostic=st.booleans(),
)
def test_decoding_equals_the_reference(
    *,
    seed: int,
    rows: int,
    classes: int,
    extra: int,
    threshold: float,
    overlap: float,
    place: dict[str, float],
    channels_first: bool,
    batched: bool,
    agnostic: bool,
) -> None:
    output = head(seed, rows, classes, extra)
    given_output = np.ascontiguousarray(output.T) if channels_first else output
    limits: dict[str, Any] = {
        "score_threshold": threshold,
        "iou_threshold": overlap,
        "class_agnostic": agnostic,
        **place,
    }
    found = native.decode_yolov8(
        given_output[np.newaxis] if batched else given_output,
        classes=classes,
        channels_first=channels_first,
        unit_x=128.0,
        unit_y=96.0,
        **ALL,
        **limits,
    )
    spec = declared.Yolov8(box_units="fraction")
    compare(found, heads.yolov8(spec, [output[np.newaxis]], reference(classes), extra), **limits)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**16), threshold=THRESHOLDS, value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_every_row_with_a_score_that_is_no_number_is_counted(
    *, seed: int, threshold: float, value: float
) -> None:
    output = head(seed, 700, 20, 2)
    bad = np.random.default_rng(seed).choice(700, 11, replace=False)
    output[bad, 4 + bad % 20] = value
    output[:, -1] = np.nan  # extra values are the caller's
    for channels_first in (True, False):
        given_output = np.ascontiguousarray(output.T) if channels_first else output
        _, rows, broken = native.decode_yolov8(
            given_output, classes=20, channels_first=channels_first, score_threshold=threshold, **FRAME
        )
        assert broken == 11
        assert not set(rows.tolist()) & set(bad.tolist())


def test_a_box_that_is_no_number_matters_where_its_score_passes() -> None:
    output = np.full((10, 6), 0.5, np.float32)
    output[3, 2] = output[7, 0] = np.nan
    output[3, 4] = 0.9
    arguments: dict[str, Any] = {"classes": 2, "channels_first": False, **FRAME}
    assert native.decode_yolov8(output, score_threshold=0.8, **arguments)[2] == 1
    assert native.decode_yolov8(output, score_threshold=0.4, **arguments)[2] == 2


@pytest.mark.parametrize(
    ("shape", "change", "says"),
    [
        ((7, 20), {"classes": 4}, "7 values a row, too few for 4 and 4 classes"),
        ((7, 20), {"classes": 0}, "classes must be 1 or more"),
        ((2, 7, 20), {}, r"expected float32 \(4 \+ classes \+ extra, rows\)"),
        ((7, 20), {"unit_x": 0.0}, "unit_x and unit_y"),
        ((7, 20), {"unit_y": float("nan")}, "unit_x and unit_y"),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], change: dict[str, Any], says: str) -> None:
    arguments: dict[str, Any] = {"classes": 3, "channels_first": True, "score_threshold": 0.5, **FRAME}
    with pytest.raises(ValueError, match=says):
        native.decode_yolov8(np.zeros(shape, np.float32), **(arguments | change))
