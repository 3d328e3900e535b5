"""What decoders of detectors must give: what the reference path gives, in float64 NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from runtime.golden.reference.heads import Head
from runtime.golden.reference.suppression import Rows, suppressed
from runtime.vision.placement import Placement

Floats = NDArray[Any]
NOT_MOVED = {"scale_x": 1.0, "scale_y": 1.0, "pad_x": 0.0, "pad_y": 0.0, "crop_x": 0.0, "crop_y": 0.0}

FRAME = {"frame_width": 128.0, "frame_height": 96.0}
# A letterbox in a larger frame, and one of a part of it.
LETTERBOX = {
    "scale_x": 0.3,
    "scale_y": 0.3,
    "pad_x": 5.0,
    "pad_y": 11.0,
    "frame_width": 400.0,
    "frame_height": 300.0,
}
CROP = {**LETTERBOX, "scale_y": 0.31, "crop_x": 40.0, "crop_y": 7.0}
# The reference keeps all that pass.
ALL: dict[str, Any] = {"max_detections": 10_000, "max_candidates": 10_000}
PLACES = st.sampled_from([FRAME, LETTERBOX, CROP])
THRESHOLDS = st.sampled_from([0.0, 0.05, 0.3, 0.7, 0.95])
OVERLAPS = st.sampled_from([0.0, 0.3, 0.45, 0.65, 1.0])


def head(classes: int, width: int = 128, height: int = 96, priors: Floats | None = None) -> Head:
    """A head of the reference path, for an input of that size."""
    return Head(classes, width, height, lambda _: b"" if priors is None else priors.astype("<f4").tobytes())


def expected(rows: Rows, **limits: Any) -> tuple[Floats, NDArray[np.intp]]:
    """Boxes ``[n, 6]`` in the frame, and the row of each."""
    place = {name: limits.pop(name) for name in Placement._fields if name in limits}
    kept = suppressed(Rows(*rows), Placement(**NOT_MOVED | place), **limits)
    return np.column_stack([kept.boxes, kept.scores, kept.labels]), kept.rows


def compare(found: tuple[Floats, Floats, int], rows: Rows, **limits: Any) -> None:
    """What native code found is what must come out; nothing in it is broken."""
    boxes, numbers = expected(rows, **limits)
    assert found[2] == 0
    assert found[0].dtype == np.float32
    assert found[1].dtype == np.int32
    assert (np.diff(found[0][:, 4]) <= 0).all()
    # Scores that float32 makes equal may change places: compare row by row.
    mine, theirs = np.argsort(found[1]), np.argsort(numbers)
    np.testing.assert_array_equal(found[1][mine], numbers[theirs])
    np.testing.assert_allclose(found[0][mine], boxes[theirs], rtol=1e-5, atol=2e-3)
