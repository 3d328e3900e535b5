"""YuNet (Wu et al. 2023, doi:10.1007/s11633-023-1423-y): faces with five landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import native
from runtime.bundle.decoders import YuNet
from runtime.engine import Array
from runtime.findings import Detection, Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, grids, input_size
from runtime.vision.decoders.finite import not_numbers
from runtime.vision.decoders.poses import keypoints
from runtime.vision.placement import Placement

POINTS = 5


@decodes(YuNet)
class YuNetDecoder:
    """float32, for each stride: class scores ``[1, n, 1]``; then objectness, boxes and landmarks likewise.

    A landmark lies at ``(cell + offset) * stride``; its score is its face's, since the model gives none.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first outputs are not those, or there is not one label.
    """

    def __init__(self, spec: YuNet, context: Context) -> None:
        cells = grids(context, spec.strides)
        counts = [lines * columns for lines, columns in cells]
        shapes = [(1, count, values) for values in (1, 1, 4, 2 * POINTS) for count in counts]
        if len(context.labels) != 1 or not all_fit(context.outputs, *shapes):
            wanted = ", ".join(str(list(shape)) for shape in shapes)
            raise context.expect("yunet", f"one label and float32 {wanted}")
        self._boxes = Boxes(spec, context)
        self._spec = spec
        self._where = context.where
        self._size = input_size(context)
        self._columns = [columns for _, columns in cells]
        self._ends = np.cumsum(counts)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        strides = self._spec.strides
        found = native.decode_yunet(
            outputs[: 3 * len(strides)], strides=strides, **self._size, **self._boxes.arguments(place)
        )
        faces = self._boxes.detections(found)
        landmarks = outputs[3 * len(strides) :]
        points = [self._landmarks(landmarks, row) for row in found[1].tolist()]
        broken = sum(not np.isfinite(own).all() for own in points)
        if broken:
            raise not_numbers(f"landmarks of {broken} detections", where=self._where)
        return Findings(
            detections=tuple(
                self._with_landmarks(face, own, place) for face, own in zip(faces, points, strict=True)
            )
        )

    def _landmarks(self, outputs: Sequence[Array], row: int) -> Array:
        """Across and down in tensor pixels, ``[5, 2]``, of the cell ``row`` counted through all strides."""
        level = int(np.searchsorted(self._ends, row, side="right"))
        cell = row - (int(self._ends[level - 1]) if level else 0)
        line, column = divmod(cell, self._columns[level])
        offsets = outputs[level][0, cell].reshape(POINTS, 2)
        points: Array = (offsets + np.array((column, line), np.float32)) * self._spec.strides[level]
        return points

    def _with_landmarks(self, face: Detection, points: Array, place: Placement) -> Detection:
        rows = np.column_stack((points, np.full(POINTS, face.score, np.float32)))
        return Detection(
            face.label, face.score, face.box, keypoints=keypoints(self._spec.keypoints, rows, place)
        )
