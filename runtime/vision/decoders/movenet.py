"""MoveNet: one pose, or up to a handful, with named keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtime.bundle.decoders import MoveNet
from runtime.engine import Array
from runtime.findings import Detection, Findings
from runtime.vision.decoders import Context, Decoder, as_score, decodes
from runtime.vision.decoders.finite import not_numbers
from runtime.vision.decoders.poses import around, clipped, keypoints
from runtime.vision.placement import Placement


@decodes(MoveNet)
def movenet(spec: MoveNet, context: Context) -> Decoder:
    """Single pose float32 ``[1, 1, K, 3]`` (y, x, score) or multi-pose ``[1, P, K * 3 + 5]``.

    y and x are fractions of the input tensor. The box of a multi-pose comes last: y1, x1, y2, x2, score.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is neither, or there is not one label.
    """
    count = len(spec.keypoints)
    output = context.outputs[0]
    if output.dtype == "float32" and len(context.labels) == 1:
        if output.shape == (1, 1, count, 3):
            return _SinglePose(spec, context)
        if len(output.shape) == 3 and output.shape[2] == count * 3 + 5:
            return _MultiPose(spec, context)
    expected = f"float32 {[1, 1, count, 3]} or [1, P, {count * 3 + 5}] with one label"
    raise context.expect("movenet", expected)


class _Poses:
    """What both models share: from rows of y, x, score to keypoints in source pixels."""

    def __init__(self, spec: MoveNet, context: Context) -> None:
        self._label = context.labels[0]
        self._names = spec.keypoints
        self._threshold = context.threshold(spec.score_threshold)
        self._visible = as_score(spec.keypoint_threshold)
        self._where = context.where
        # To tensor pixels, in the order x, y, score.
        self._units = np.array([context.width, context.height, 1.0], dtype=np.float32)

    def _detection(
        self, points: Array, score: float | None, box: Array | None, place: Placement
    ) -> Detection | None:
        """``points``: ``[K, 3]`` as y, x, score; ``score`` and ``box`` (y1, x1, y2, x2) where given.

        A single pose scores what its visible keypoints do on average. A pose of which nothing lies in
        the picture is none.
        """
        found = keypoints(self._names, points[:, [1, 0, 2]] * self._units, place)
        visible = [point for point in found if point.score >= self._visible]
        if score is None:
            score = sum(point.score for point in visible) / len(visible) if visible else 0.0
        if score < self._threshold:
            return None
        if box is not None:
            y1, x1, y2, x2 = box.tolist()
            width, height, _ = self._units.tolist()
            corners = (*place.to_source(x1 * width, y1 * height), *place.to_source(x2 * width, y2 * height))
        elif visible:
            corners = around(visible)
        else:
            return None
        inside = clipped(corners, place)
        return None if inside is None else Detection(self._label, score, inside, found)


class _SinglePose(_Poses):
    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        points = outputs[0][0, 0]
        broken = int(np.count_nonzero(~np.isfinite(points).all(axis=1)))
        if broken:
            raise not_numbers(f"{broken} keypoints", where=self._where)
        found = self._detection(points, None, None, place)
        return Findings(detections=() if found is None else (found,))


class _MultiPose(_Poses):
    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``; the best pose first."""
        rows = outputs[0][0]
        # What is not a number is not below the threshold either.
        rows = rows[~(rows[:, -1] < self._threshold)]
        broken = int(np.count_nonzero(~np.isfinite(rows).all(axis=1)))
        if broken:
            raise not_numbers(f"{broken} poses", where=self._where)
        found = (
            self._detection(row[:-5].reshape(-1, 3), float(row[-1]), row[-5:-1], place)
            for row in rows[np.argsort(-rows[:, -1], kind="stable")]
        )
        return Findings(detections=tuple(pose for pose in found if pose is not None))
