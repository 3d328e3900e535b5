"""Poses of YOLOv8 and YOLO11: a detection with named keypoints each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from runtime.bundle.decoders import Yolov8Pose
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.poses import keypoints
from runtime.vision.decoders.yolov8_rows import Yolov8Rows, channels_first
from runtime.vision.placement import Placement


@decodes(Yolov8Pose)
class Yolov8PoseDecoder:
    """float32 ``[1, 4 + C + K * D, N]`` or transposed: box, class scores, K times x, y (and visibility).

    Without visibilities a keypoint's score is that of its detection.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Yolov8Pose, context: Context) -> None:
        self._names = spec.keypoints
        self._numbers = 3 if spec.visibility else 2
        columns = 4 + len(context.labels) + len(spec.keypoints) * self._numbers
        first = channels_first(context.outputs[0].shape, columns)
        if first is None or context.outputs[0].dtype != "float32":
            what = f"float32 [1, {columns}, N] or [1, N, {columns}] with {len(spec.keypoints)} keypoints"
            raise context.expect("yolov8_pose", what)
        self._rows = Yolov8Rows(spec, context, channels_first=first)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        kept = self._rows.read(outputs[0], place, "keypoints")
        points = np.empty((len(kept.detections), len(self._names), 3), dtype=np.float32)
        for own, detection in zip(points, kept.detections, strict=True):
            own[:, 2] = detection.score
        points[:, :, : self._numbers] = kept.extras.reshape(-1, len(self._names), self._numbers)
        points[:, :, :2] *= (self._rows.units["unit_x"], self._rows.units["unit_y"])
        return Findings(
            detections=tuple(
                replace(detection, keypoints=keypoints(self._names, own, place))
                for detection, own in zip(kept.detections, points, strict=True)
            )
        )
