"""YOLOv10-style end to end (Wang et al. 2024, arXiv:2405.14458)."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import Yolov10
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, units
from runtime.vision.placement import Placement


@decodes(Yolov10)
class Yolov10Decoder:
    """float32 ``[1, N, 6]``: corners, score, class index.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Yolov10, context: Context) -> None:
        if not all_fit(context.outputs, (1, None, 6)):
            raise context.expect("yolov10", "float32 [1, N, 6]")
        self._boxes = Boxes(spec, context)
        self._units = units(spec.box_units, context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``; a class without a label is ``MODEL_RUN``."""
        found = native.decode_rows(outputs[0], **self._units, **self._boxes.arguments(place))
        return Findings(detections=self._boxes.detections(found))
