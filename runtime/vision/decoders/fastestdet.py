"""FastestDet (github.com/dog-qiuqiu/FastestDet)."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import FastestDet
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, units
from runtime.vision.placement import Placement


@decodes(FastestDet)
class FastestDetDecoder:
    """float32 ``[1, 5 + C, H, W]``: objectness, x, y, w, h, class scores of each cell.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: FastestDet, context: Context) -> None:
        values = 5 + len(context.labels)
        if not all_fit(context.outputs, (1, values, None, None)):
            raise context.expect("fastestdet", f"float32 [1, {values}, H, W]")
        self._boxes = Boxes(spec, context)
        self._units = units("fraction", context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        found = native.decode_fastestdet(outputs[0], **self._units, **self._boxes.arguments(place))
        return Findings(detections=self._boxes.detections(found))
