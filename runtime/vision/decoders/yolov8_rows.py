"""What YOLOv8's heads for keypoints and masks share: boxes with further columns behind the classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import native
from runtime.bundle.decoders import Yolov8Pose, Yolov8Seg
from runtime.engine import Array
from runtime.findings import Detection
from runtime.vision.decoders import Context
from runtime.vision.decoders.boxes import Boxes, units
from runtime.vision.decoders.finite import not_numbers
from runtime.vision.placement import Placement


class Kept(NamedTuple):
    """Detections that passed, best score first, and float32 ``[n, E]``: what stands behind the classes."""

    detections: tuple[Detection, ...]
    extras: Array


class Yolov8Rows:
    """Reads float32 ``[1, 4 + C + E, N]`` (``channels_first``) or ``[1, N, 4 + C + E]``.

    Args:
        spec: thresholds and units.
        context: labels, the input tensor's size.
        channels_first: which of the two shapes it is.
    """

    def __init__(self, spec: Yolov8Pose | Yolov8Seg, context: Context, *, channels_first: bool) -> None:
        self._boxes = Boxes(spec, context)
        self._classes = len(context.labels)
        self._channels_first = channels_first
        self._where = context.where
        self.units = units(spec.box_units, context)

    def read(self, output: Array, place: Placement, what: str) -> Kept:
        """The detections that pass, and the ``what`` behind them (for the error's text).

        Raises:
            EdgewardError: ``MODEL_RUN`` when a row that matters is not finite.
        """
        found = native.decode_yolov8(
            output,
            classes=self._classes,
            channels_first=self._channels_first,
            **self.units,
            **self._boxes.arguments(place),
        )
        detections, rows = self._boxes.detections(found), found[1]
        start = 4 + self._classes
        extras = output[0, start:, rows] if self._channels_first else output[0, rows, start:]
        broken = int(np.count_nonzero(~np.isfinite(extras).all(axis=1)))
        if broken:
            raise not_numbers(f"{what} of {broken} detections", where=self._where)
        return Kept(detections, np.ascontiguousarray(extras))


def channels_first(shape: tuple[int | None, ...], columns: int) -> bool | None:
    """Which way ``[1, columns, N]`` or ``[1, N, columns]`` lies; None when it is neither."""
    if len(shape) != 3:
        return None
    if shape[1] == columns:
        return True
    return False if shape[2] == columns else None
