"""SSD (Liu et al. 2016, arXiv:1512.02325), with and without post-processing in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import native
from runtime.bundle.decoders import Ssd, SsdPostprocessed
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.vision.decoders import Context, Output, decodes
from runtime.vision.decoders.boxes import Boxes, all_fit, fits, units
from runtime.vision.decoders.finite import not_numbers
from runtime.vision.placement import Placement


@decodes(Ssd)
class SsdDecoder:
    """Box offsets, float32 ``[1, N, 4]``, then class scores ``[1, N, C]`` or, with background, one more.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first outputs are not that, or the file of priors does not
            fit them.
    """

    def __init__(self, spec: Ssd, context: Context) -> None:
        self._priors = _priors(spec, context)
        rows, columns = len(self._priors), len(context.labels) + spec.background
        if not all_fit(context.outputs, (1, rows, 4), (1, rows, columns)):
            what = f"with {rows} priors float32 {[1, rows, 4]} and {[1, rows, columns]}"
            raise context.expect("ssd", what)
        self._spec = spec
        self._boxes = Boxes(spec, context)
        self._units = units("fraction", context)

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        spec = self._spec
        found = native.decode_ssd(
            outputs[0],
            outputs[1],
            self._priors,
            background=spec.background,
            activation=spec.activation,
            order=spec.order,
            scales=spec.scales,
            **self._units,
            **self._boxes.arguments(place),
        )
        return Findings(detections=self._boxes.detections(found))


def _priors(spec: Ssd, context: Context) -> Array:
    data = context.read(spec.priors)
    whole = len(data) % 16 == 0 and len(data) > 0
    priors = np.frombuffer(data if whole else b"", "<f4").astype(np.float32).reshape(-1, 4)
    if not whole or not np.isfinite(priors).all() or not (priors[:, 2:] > 0).all():
        raise EdgewardError(
            Code.BUNDLE_MANIFEST,
            f"the priors in {spec.priors} ({len(data)} bytes) are not rows of four finite float32 "
            "numbers with height and width over zero",
            where=context.where,
            remedy="write centre y, centre x, height, width of each prior as little-endian float32 fractions",
        )
    return priors


@decodes(SsdPostprocessed)
class SsdPostprocessedDecoder:
    """TensorFlow's ``TFLite_Detection_PostProcess``: boxes, class indices, scores, count.

    Boxes are float32 ``[1, N, 4]``: y1, x1, y2, x2 as fractions of the input tensor, led back to the picture
    however it was placed there. Scores are float32 ``[1, N]``; indices ``[1, N]`` and the count, one number,
    may be of any type.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first outputs are not that.
    """

    def __init__(self, spec: SsdPostprocessed, context: Context) -> None:
        if len(context.outputs) < 4 or not _are_postprocessed(*context.outputs[:4]):
            what = "float32 [1, N, 4], class indices [1, N], float32 [1, N] and a count [1]"
            raise context.expect("ssd_postprocessed", what)
        self._boxes = Boxes(spec, context)
        self._units = units("fraction", context)
        self._offset = spec.label_offset
        self._where = context.where

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``; a count that is none and a class without a label are ``MODEL_RUN``."""
        boxes, classes, scores, counted = (output[0] for output in outputs[:4])
        count = self._count(float(counted.reshape(-1)[0]), len(boxes))
        rows = np.empty((count, 6), np.float32)
        rows[:, :4] = boxes[:count, (1, 0, 3, 2)]
        rows[:, 4] = scores[:count]
        rows[:, 5] = classes[:count]
        found = native.decode_rows(rows, **self._units, **self._boxes.arguments(place))
        return Findings(detections=self._boxes.detections(found, label_offset=self._offset))

    def _count(self, count: float, most: int) -> int:
        if not np.isfinite(count):
            raise not_numbers("counts", where=self._where)
        if not 0 <= count <= most:
            raise EdgewardError(
                Code.MODEL_RUN,
                f"the model says that it found {count:.6g} objects, and has room for {most}",
                where=self._where,
                remedy="check the order of the outputs in bundle.toml: boxes, classes, scores, count",
            )
        return round(count)


def _are_postprocessed(boxes: Output, classes: Output, scores: Output, count: Output) -> bool:
    rows = boxes.shape[1] if len(boxes.shape) == 3 else None
    any_type = Output(classes.name, "float32", classes.shape)
    return (
        fits(boxes, 1, rows, 4)
        and fits(any_type, 1, rows)
        and fits(scores, 1, rows)
        and all(size in {1, None} for size in count.shape)
    )
