"""Ultra-light faces (github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB)."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import UltraFace
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, units
from runtime.vision.placement import Placement


@decodes(UltraFace)
class UltraFaceDecoder:
    """Scores, float32 ``[1, N, 1 + C]`` with the background first, then boxes ``[1, N, 4]`` as fractions.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first outputs are not that.
    """

    def __init__(self, spec: UltraFace, context: Context) -> None:
        columns = 1 + len(context.labels)
        rows = context.outputs[0].shape[1] if len(context.outputs[0].shape) == 3 else None
        if not all_fit(context.outputs, (1, None, columns), (1, rows, 4)):
            raise context.expect("ultraface", f"float32 [1, N, {columns}] and [1, N, 4]")
        self._boxes = Boxes(spec, context)
        self._units = units("fraction", context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        scores, boxes = outputs[:2]
        arguments = self._boxes.arguments(place)
        found = native.decode_corners(boxes, scores, background=True, **self._units, **arguments)
        return Findings(detections=self._boxes.detections(found))
