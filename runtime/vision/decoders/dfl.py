"""Distances as distributions (Li et al. 2020, arXiv:2006.04388): NanoDet-Plus, PicoDet, raw YOLOv8."""

from __future__ import annotations

from collections.abc import Sequence

import native
from runtime.bundle.decoders import Dfl
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, grids, input_size
from runtime.vision.placement import Placement


@decodes(Dfl)
class DflDecoder:
    """Class scores and four distributions a cell, in the layout that the declaration names.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first outputs are not those of that layout.
    """

    def __init__(self, spec: Dfl, context: Context) -> None:
        shapes = _shapes(spec, context)
        if not all_fit(context.outputs, *shapes):
            wanted = ", ".join(str(list(shape)) for shape in shapes)
            raise context.expect("dfl", f"with layout {spec.layout!r} float32 {wanted}")
        self._count = len(shapes)
        self._boxes = Boxes(spec, context)
        self._spec = spec
        self._classes = len(context.labels)
        self._size = input_size(context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        spec = self._spec
        found = native.decode_dfl(
            outputs[: self._count],
            strides=spec.strides,
            layout=spec.layout,
            cell_offset=spec.cell_offset,
            sigmoid=spec.activation == "sigmoid",
            classes=self._classes,
            reg_max=spec.reg_max,
            **self._size,
            **self._boxes.arguments(place),
        )
        return Findings(detections=self._boxes.detections(found))


def _shapes(spec: Dfl, context: Context) -> list[tuple[int, ...]]:
    classes, distances = len(context.labels), 4 * (spec.reg_max + 1)
    cells = grids(context, spec.strides)
    counts = [lines * columns for lines, columns in cells]
    if spec.layout == "rows":
        return [(1, sum(counts), classes + distances)]
    if spec.layout == "split_rows":
        return [*((1, count, classes) for count in counts), *((1, count, distances) for count in counts)]
    return [(1, values, *grid) for grid in cells for values in (distances, classes)]
