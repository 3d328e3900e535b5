"""Heads with distances as distributions: NanoDet's rows, PicoDet's pairs, YOLOv8's maps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from detect_reference import ALL, FRAME, OVERLAPS, PLACES, compare
from detect_reference import head as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from runtime.bundle import decoders as declared
from runtime.golden.reference import heads
from runtime.golden.reference.heads import cells, sigmoid

pytestmark = pytest.mark.unit

STRIDES = (8, 16, 32)
WIDTH, HEIGHT = 104, 72  # not divisible by 16 and 32: cells cover what is left
SIZE = {"input_width": WIDTH, "input_height": HEIGHT, "strides": STRIDES}


def rows_of(seed: int, classes: int, reg_max: int) -> np.ndarray:
    """Class logits and four times ``reg_max + 1`` bins for each cell of all strides."""
    count = len(cells(WIDTH, HEIGHT, STRIDES)[0])
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, (count, classes + 4 * (reg_max + 1))).astype(np.float32)


def laid_out(rows: np.ndarray, classes: int, layout: str) -> list[np.ndarray]:
    if layout == "rows":
        return [rows[np.newaxis]]
    levels, at = [], 0
    for stride in STRIDES:
        lines, columns = -(-HEIGHT // stride), -(-WIDTH // stride)
        part = rows[at : at + lines * columns]
        levels.append((part[:, :classes], part[:, classes:], lines, columns))
        at += lines * columns
    if layout == "split_rows":
        return [np.ascontiguousarray(level[kind][np.newaxis]) for kind in (0, 1) for level in levels]
    return [
        np.ascontiguousarray(level[kind].T.reshape(1, -1, level[2], level[3]))
        for level in levels
        for kind in (1, 0)
    ]


@settings(max_examples=45, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 20),
    reg_max=st.integers(1, 16),
    layout=st.sampled_from(["rows", "split_rows", "maps"]),
    offset=st.sampled_from([0.0, 0.5]),
    threshold=st.sampled_from([0.0, 0.3, 0.8, 0.97]),
    overlap=OVERLAPS,
    place=PLACES,
    logits=st.booleans(),
)
def test_every_layout_equals_the_reference(
    *,
    seed: int,
    classes: int,
    reg_max: int,
    layout: Literal["rows", "split_rows", "maps"],
    offset: float,
    threshold: float,
    overlap: float,
    place: dict[str, float],
    logits: bool,
) -> None:
    rows = rows_of(seed, classes, reg_max)
    if not logits:
        rows[:, :classes] = sigmoid(rows[:, :classes])
    limits: dict[str, Any] = {"score_threshold": threshold, "iou_threshold": overlap, **place}
    found = native.decode_dfl(
        laid_out(rows, classes, layout),
        classes=classes,
        reg_max=reg_max,
        layout=layout,
        cell_offset=offset,
        sigmoid=logits,
        **SIZE,
        **ALL,
        **limits,
    )
    activation: Literal["sigmoid", "none"] = "sigmoid" if logits else "none"
    spec = declared.Dfl(
        strides=STRIDES, reg_max=reg_max, layout=layout, cell_offset=offset, activation=activation
    )
    outputs = laid_out(rows, classes, layout)
    compare(found, heads.dfl(spec, outputs, reference(classes, WIDTH, HEIGHT)), **limits)


@pytest.mark.parametrize("layout", ["rows", "split_rows", "maps"])
def test_scores_and_distances_that_are_no_numbers_are_counted(layout: str) -> None:
    rows = rows_of(1, 3, 7)
    rows[:, :3] = 0.1
    rows[5, 1] = np.nan  # cannot be judged
    rows[9, 0], rows[9, 20] = 0.9, np.inf  # passes, its box does not
    rows[11, 20] = np.nan  # sees nothing
    found, _, broken = native.decode_dfl(
        laid_out(rows, 3, layout), classes=3, reg_max=7, layout=layout, score_threshold=0.5, **SIZE, **FRAME
    )
    assert (len(found), broken) == (0, 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": 4}, r"an output has 35 columns, but 4 classes, reg_max 7 .* give 36"),
        ({"classes": 0}, "classes must be 1 or more"),
        ({"reg_max": 0}, "reg_max 1..1000"),
        ({"strides": (8, 16)}, r"an output has .* rows, but .* 104x72 with strides 8, 16 give"),
        ({"strides": (8, 0)}, "stride 0 does not divide"),
        ({"layout": "maps"}, r"expected float32 \(values, h, w\)"),
        ({"layout": "split_rows"}, "there are 1 outputs, expected 6"),
        ({"layout": "heap"}, "layout must be one of rows, split_rows, maps"),
        ({"cell_offset": float("inf")}, "cell_offset finite"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], says: str) -> None:
    arguments: dict[str, Any] = {"classes": 3, "reg_max": 7, "layout": "rows", "score_threshold": 0.5}
    with pytest.raises(ValueError, match=says):
        native.decode_dfl([rows_of(1, 3, 7)], **(SIZE | FRAME | arguments | change))
