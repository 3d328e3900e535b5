"""Findings to compare, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from runtime.engine import Array
from runtime.findings import Classified, Detection, Findings, Keypoint, Mask, Segmentation, Tensor

Box = tuple[float, float, float, float]


def detections(*found: Detection) -> Findings:
    return Findings(detections=found)


def thing(box: Box = (10, 10, 50, 60), score: float = 0.9, label: str = "thing", **more: object) -> Detection:
    return Detection(label, score, box, **more)  # type: ignore[arg-type]


def moved(found: Findings, by: float) -> Findings:
    """Every box shifted by a share of its own width."""
    return Findings(
        detections=tuple(
            Detection(one.label, one.score, _shifted(one.box, by), one.keypoints, one.mask)
            for one in found.detections
        )
    )


def _shifted(box: Box, by: float) -> Box:
    step = by * (box[2] - box[0])
    return box[0] + step, box[1], box[2] + step, box[3]


def classes(*scores: tuple[str, float]) -> Findings:
    return Findings(classes=tuple(Classified(label, score) for label, score in scores))


def vector(*numbers: float) -> Findings:
    return Findings(embedding=tuple(numbers))


def tensors(**arrays: Array) -> Findings:
    return Findings(
        tensors=tuple(
            Tensor(name=name, dtype=array.dtype.name, shape=array.shape, data=array.tobytes())
            for name, array in arrays.items()
        )
    )


def cells(grid: Sequence[Sequence[int]], box: Box = (0, 0, 64, 48)) -> Findings:
    """``grid``: label indices, row by row."""
    rows = np.asarray(grid)
    runs = tuple((int(value), 1) for value in rows.reshape(-1))
    return Findings(
        segmentation=Segmentation(box=box, width=rows.shape[1], height=rows.shape[0], runs=runs, shares={})
    )


def mask(box: Box, *rows: str) -> Mask:
    """``rows``: ``#`` inside, ``.`` outside."""
    flat = "".join(rows)
    runs, last, length = [], ".", 0
    for sign in flat:
        if sign != last:
            runs.append(length)
            last, length = sign, 0
        length += 1
    return Mask(box, len(rows[0]), len(rows), (*runs, length))


def points(*places: tuple[float, float], score: float = 0.9) -> tuple[Keypoint, ...]:
    return tuple(Keypoint(f"point{at}", x, y, score) for at, (x, y) in enumerate(places))


_side = st.floats(0, 1000)
_length = st.floats(8, 400)


@st.composite
def random_detections(draw: st.DrawFn) -> Findings:
    """One to eight boxes of three classes that score 0.5 or more."""
    found = []
    for _ in range(draw(st.integers(1, 8))):
        x, y, width, height = draw(_side), draw(_side), draw(_length), draw(_length)
        label = draw(st.sampled_from(["a", "b", "c"]))
        found.append(Detection(label, draw(st.floats(0.5, 1)), (x, y, x + width, y + height)))
    return Findings(detections=tuple(found))
