"""Instance masks of YOLOv8 and YOLO11: a detection with a mask each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from runtime.bundle.decoders import Yolov8Seg
from runtime.engine import Array, allocate
from runtime.findings import Findings, Mask
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.finite import all_finite, not_numbers
from runtime.vision.decoders.masks import RunCoder
from runtime.vision.decoders.poses import Box
from runtime.vision.decoders.yolov8_rows import Yolov8Rows, channels_first
from runtime.vision.placement import Placement

# Of all masks of a picture, about 1 MiB on the wire; a real mask has two or so for each of its rows.
_MAX_RUNS = 1_000_000


@decodes(Yolov8Seg)
class Yolov8SegDecoder:
    """float32 ``[1, 4 + C + M, N]`` or transposed, then prototypes ``[1, M, MH, MW]`` or ``[1, MH, MW, M]``.

    A mask is the sum of the prototypes by the row's M coefficients (Bolya et al. 2019, arXiv:1904.02689),
    computed at the prototypes' resolution and inside the kept box only: a cell belongs to the crop when its
    middle lies in the box. sigmoid(x) >= t is x >= log(t / (1 - t)), so that no sigmoid is computed.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first two outputs are not those.
    """

    def __init__(self, spec: Yolov8Seg, context: Context) -> None:
        self._where = context.where
        layout = _layout(context)
        if layout is None:
            start = 4 + len(context.labels)
            what = f"float32 [1, {start} + M, N] or transposed and prototypes [1, M, H, W] or [1, H, W, M]"
            raise context.expect("yolov8_seg", what)
        first, self._prototypes_first, height, width = layout
        self._rows = Yolov8Rows(spec, context, channels_first=first)
        self._cell_x, self._cell_y = context.width / width, context.height / height
        self._height, self._width = height, width
        threshold = spec.mask_threshold
        self._limit = math.log(threshold / (1 - threshold)) if 0 < threshold < 1 else math.inf
        self._limit = -math.inf if threshold == 0 else self._limit
        self._sums = allocate("float32", (height * width,))
        self._inside = allocate("bool", (height * width,))
        self._coder = RunCoder(height * width, "bool")

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        kept = self._rows.read(outputs[0], place, "mask coefficients")
        # [MH, M, MW]: a row of cells is one product of a vector and a matrix, without a copy of the crop.
        axes = (1, 0, 2) if self._prototypes_first else (0, 2, 1)
        prototypes = outputs[1][0].transpose(axes)
        most = _MAX_RUNS // max(1, len(kept.detections))
        return Findings(
            detections=tuple(
                replace(detection, mask=self._mask(own, prototypes, detection.box, place, most))
                for detection, own in zip(kept.detections, kept.extras, strict=True)
            )
        )

    def _mask(self, coefficients: Array, prototypes: Array, box: Box, place: Placement, most: int) -> Mask:
        x1, x2 = _cells(box[0], box[2], place.crop_x, place.scale_x, place.pad_x, self._cell_x, self._width)
        y1, y2 = _cells(box[1], box[3], place.crop_y, place.scale_y, place.pad_y, self._cell_y, self._height)
        height, width = y2 - y1, x2 - x1
        sums = self._sums[: height * width].reshape(height, width)
        np.matmul(coefficients, prototypes[y1:y2, :, x1:x2], out=sums)
        if not all_finite(sums):
            raise not_numbers("masks", where=self._where)
        inside = self._inside[: height * width].reshape(height, width)
        np.greater_equal(sums, self._limit, out=inside)
        coded = self._coder.code(inside, most=most)
        runs = [0, *coded.lengths] if coded.values[0] else coded.lengths
        left, top = place.to_source(x1 * self._cell_x, y1 * self._cell_y)
        right, bottom = place.to_source(
            (x1 + coded.width * coded.step) * self._cell_x, (y1 + coded.height * coded.step) * self._cell_y
        )
        return Mask((left, top, right, bottom), coded.width, coded.height, tuple(runs))


def _layout(context: Context) -> tuple[bool, bool, int, int] | None:
    """Whether channels come first in rows and in prototypes, and the prototypes' height and width."""
    if len(context.outputs) < 2 or any(output.dtype != "float32" for output in context.outputs[:2]):
        return None
    rows, prototypes = (output.shape for output in context.outputs[:2])
    if len(prototypes) != 4:
        return None
    for prototypes_first, masks, size in ((True, 1, (2, 3)), (False, 3, (1, 2))):
        count, height, width = prototypes[masks], prototypes[size[0]], prototypes[size[1]]
        if count is None or height is None or width is None:
            continue
        first = channels_first(rows, 4 + len(context.labels) + count)
        if first is not None:
            return first, prototypes_first, height, width
    return None


def _cells(
    low: float, high: float, crop: float, scale: float, pad: float, cell: float, count: int
) -> tuple[int, int]:
    """The cells whose middle lies between two edges in source pixels: first, one past last.

    Where the edges are so near that there is none, the one cell in which they lie.
    """
    begin, end = (((edge - crop) * scale + pad) / cell for edge in (low, high))
    first, last = max(math.ceil(begin - 0.5), 0), min(math.ceil(end - 0.5), count)
    if first >= last:
        first = min(max(math.floor((begin + end) / 2), 0), count - 1)
        last = first + 1
    return first, last
