"""YOLOX (Ge et al. 2021, arXiv:2107.08430)."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import Yolox
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, divisible, grids, input_size
from runtime.vision.placement import Placement


@decodes(Yolox)
class YoloxDecoder:
    """The raw head, float32 ``[1, N, 5 + C]``, with the boxes not yet decoded.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Yolox, context: Context) -> None:
        rows = sum(lines * columns for lines, columns in grids(context, spec.strides))
        shape = (1, rows, 5 + len(context.labels))
        if not divisible(context, spec.strides) or not all_fit(context.outputs, shape):
            what = f"float32 {list(shape)} (strides {list(spec.strides)} of {context.width}x{context.height})"
            raise context.expect("yolox", what)
        self._boxes = Boxes(spec, context)
        self._size = input_size(context)
        self._strides = spec.strides

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        arguments = self._boxes.arguments(place)
        found = native.decode_yolox(outputs[0], strides=self._strides, **self._size, **arguments)
        return Findings(detections=self._boxes.detections(found))
