"""YOLOv5 (Ultralytics) and YOLOv7 (Wang et al. 2022, arXiv:2207.02696), decoded in the graph or not."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import Yolov5
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, Decoder, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, divisible, grids, input_size, units
from runtime.vision.placement import Placement


@decodes(Yolov5)
def yolov5(spec: Yolov5, context: Context) -> Decoder:
    """The decoder for decoded rows or, with anchors, for raw heads."""
    return Yolov5Heads(spec, context) if spec.anchors else Yolov5Rows(spec, context)


class Yolov5Rows:
    """Decoded in the graph, float32 ``[1, N, 5 + C]``: centre, size, objectness, class scores.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Yolov5, context: Context) -> None:
        columns = 5 + len(context.labels)
        if not all_fit(context.outputs, (1, None, columns)):
            raise context.expect("yolov5", f"float32 [1, N, {columns}], or raw heads where anchors are given")
        self._boxes = Boxes(spec, context)
        self._units = units(spec.box_units, context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        found = native.decode_yolov5(outputs[0], **self._units, **self._boxes.arguments(place))
        return Findings(detections=self._boxes.detections(found))


class Yolov5Heads:
    """Raw, one output a stride: float32 ``[1, A * (5 + C), H, W]`` or ``[1, A, H, W, 5 + C]``.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first outputs are not that, all of one kind.
    """

    def __init__(self, spec: Yolov5, context: Context) -> None:
        values = 5 + len(context.labels)
        cells = grids(context, spec.strides)
        anchors = [len(row) // 2 for row in spec.anchors]
        levels = list(zip(anchors, cells, strict=False))
        first = [(1, count * values, lines, columns) for count, (lines, columns) in levels]
        last = [(1, count, lines, columns, values) for count, (lines, columns) in levels]
        self._channels_first = all_fit(context.outputs, *first)
        known = self._channels_first or all_fit(context.outputs, *last)
        if not known or len(anchors) != len(cells) or not divisible(context, spec.strides):
            wanted = "; ".join(f"{list(a)} or {list(b)}" for a, b in zip(first, last, strict=True))
            raise context.expect("yolov5", f"with these anchors float32 {wanted}")
        self._boxes = Boxes(spec, context)
        self._strides = spec.strides
        self._anchors = spec.anchors
        self._size = input_size(context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        found = native.decode_yolov5_heads(
            outputs[: len(self._strides)],
            strides=self._strides,
            anchors=self._anchors,
            channels_first=self._channels_first,
            **self._size,
            **self._boxes.arguments(place),
        )
        return Findings(detections=self._boxes.detections(found))
