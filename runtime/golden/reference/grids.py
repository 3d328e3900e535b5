"""Grids over the picture: semantic segmentation, and the masks of instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from runtime.bundle import decoders as declared
from runtime.findings import Detection, Findings, Mask, Segmentation
from runtime.golden.reference.about import About, must_be_numbers
from runtime.golden.reference.heads import sigmoid, yolov8_rows
from runtime.vision.placement import Placement

Floats = NDArray[Any]


def semantic(spec: declared.Semantic, arrays: Sequence[Floats], place: Placement, about: About) -> Findings:
    """The best class of each cell, or the cells of the only class (Long et al. 2015)."""
    output = arrays[0][0]
    if output.ndim == 2:
        must_be_numbers(output, about)
        there = (output >= 0) & (output < len(about.labels))
        index = np.where(there, output, -1).astype(np.int64)
    else:
        scores = output if spec.layout == "nchw" else output.transpose(2, 0, 1)
        if len(scores) != len(about.labels):
            message = f"{len(scores)} classes for {len(about.labels)} labels"
            raise ValueError(message)
        must_be_numbers(scores.max(0), about)
        if len(scores) == 1:
            score = sigmoid(scores[0]) if spec.activation == "sigmoid" else scores[0]
            index = np.where(score >= np.float32(spec.score_threshold), 0, -1)
        else:
            index = scores.argmax(0)
    height, width = index.shape
    cell_x, cell_y = about.width / width, about.height / height
    columns = _in_picture(width, cell_x, place.pad_x, place.scale_x, place.crop_x, place.frame_width)
    rows = _in_picture(height, cell_y, place.pad_y, place.scale_y, place.crop_y, place.frame_height)
    seen = index[rows, columns]
    values, lengths = _runs(seen)
    counted = [(int(label), int(np.count_nonzero(seen == label))) for label in np.unique(seen)]
    return Findings(
        segmentation=Segmentation(
            box=(
                *place.to_source(columns.start * cell_x, rows.start * cell_y),
                *place.to_source(columns.stop * cell_x, rows.stop * cell_y),
            ),
            width=seen.shape[1],
            height=seen.shape[0],
            runs=tuple(zip(values, lengths, strict=True)),
            shares={about.labels[label]: count / seen.size for label, count in counted if label >= 0},
        )
    )


def _in_picture(count: int, cell: float, pad: float, scale: float, crop: float, end: float) -> slice:
    """The cells whose middle lies in the picture, not in a letterbox's padding; one at least."""
    middles = (np.arange(count) + 0.5) * cell
    last = min(pad + (end - crop) * scale, count * cell - pad) if pad > 0 else (end - crop) * scale
    inside = np.flatnonzero((middles >= pad) & (middles < last))
    if not inside.size:
        first = min(max(int(np.ceil(pad / cell - 0.5)), 0), count - 1)
        return slice(first, first + 1)
    return slice(int(inside[0]), int(inside[-1]) + 1)


def _runs(grid: Floats) -> tuple[list[int], list[int]]:
    """Values and lengths of the runs of a grid, row by row."""
    flat = grid.reshape(-1)
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(np.append(starts, flat.size))
    return [int(value) for value in flat[starts]], [int(length) for length in lengths]


def extra_columns(spec: declared.Decoder, arrays: Sequence[Floats], about: About) -> int:
    """Columns behind the classes for mask coefficients: as many as there are prototypes."""
    return len(_prototypes(arrays, about)) if isinstance(spec, declared.Yolov8Seg) else 0


def _prototypes(arrays: Sequence[Floats], about: About) -> Floats:
    """``[M, H, W]`` from ``[1, M, H, W]`` or ``[1, H, W, M]``: which of them the width of the rows tells.

    Raises:
        ValueError: neither fits the rows.
    """
    rows, prototypes = arrays[0], arrays[1]
    for masks in (1, 3):
        if 4 + len(about.labels) + prototypes.shape[masks] in rows.shape[1:]:
            found: Floats = np.moveaxis(prototypes[0], masks - 1, 0).astype(np.float64)
            return found
    message = f"rows {list(rows.shape)} do not fit prototypes {list(prototypes.shape)}"
    raise ValueError(message)


def with_masks(
    spec: declared.Yolov8Seg,
    found: Sequence[Detection],
    rows: Sequence[int] | NDArray[np.intp],
    arrays: Sequence[Floats],
    place: Placement,
    about: About,
) -> list[Detection]:
    """Bolya et al. 2019: a mask is the sigmoid of the sum of the prototypes by the row's coefficients."""
    prototypes = _prototypes(arrays, about)
    count, height, width = prototypes.shape
    start = 4 + len(about.labels)
    coefficients = yolov8_rows(arrays[0], start + count)[:, start:]
    cell_x, cell_y = about.width / width, about.height / height
    masked = []
    for one, row in zip(found, rows, strict=True):
        sums = np.tensordot(coefficients[row], prototypes, 1)
        must_be_numbers(sums, about)
        x1, x2 = _cells(one.box[0], one.box[2], place.crop_x, place.scale_x, place.pad_x, cell_x, width)
        y1, y2 = _cells(one.box[1], one.box[3], place.crop_y, place.scale_y, place.pad_y, cell_y, height)
        inside = sigmoid(sums[y1:y2, x1:x2]) >= spec.mask_threshold
        values, lengths = _runs(inside)
        runs = [0, *lengths] if values[0] else lengths
        corners = (
            *place.to_source(x1 * cell_x, y1 * cell_y),
            *place.to_source(x2 * cell_x, y2 * cell_y),
        )
        masked.append(replace(one, mask=Mask(corners, x2 - x1, y2 - y1, tuple(runs))))
    return masked


def _cells(
    low: float, high: float, crop: float, scale: float, pad: float, cell: float, count: int
) -> tuple[int, int]:
    """First and one past the last of the cells whose middle lies between two edges, or of the nearest."""
    begin, end = (((edge - crop) * scale + pad) / cell for edge in (low, high))
    middles = np.arange(count) + 0.5
    inside = np.flatnonzero((middles >= begin) & (middles < end))
    if inside.size:
        return int(inside[0]), int(inside[-1]) + 1
    nearest = min(max(int(np.floor((begin + end) / 2)), 0), count - 1)
    return nearest, nearest + 1
