"""YOLOv8 and YOLO11 detection (Ultralytics)."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import Yolov8
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, units
from runtime.vision.decoders.yolov8_rows import channels_first
from runtime.vision.placement import Placement


@decodes(Yolov8)
class Yolov8Decoder:
    """float32 ``[1, 4 + C, N]`` or ``[1, N, 4 + C]``: centre and size, class scores.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Yolov8, context: Context) -> None:
        self._classes = len(context.labels)
        columns = 4 + self._classes
        output = context.outputs[0]
        first = channels_first(output.shape, columns)
        if first is None or output.shape[0] != 1 or output.dtype != "float32":
            raise context.expect("yolov8", f"float32 [1, {columns}, N] or [1, N, {columns}]")
        self._channels_first = first
        self._boxes = Boxes(spec, context)
        self._units = units(spec.box_units, context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        found = native.decode_yolov8(
            outputs[0],
            classes=self._classes,
            channels_first=self._channels_first,
            **self._units,
            **self._boxes.arguments(place),
        )
        return Findings(detections=self._boxes.detections(found))
