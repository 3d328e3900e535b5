"""What the decoders of boxes share: limits, the shapes they expect, and detections from native boxes."""

from __future__ import annotations

from typing import Any

from runtime.bundle.decoders import Detector
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.findings import Detection
from runtime.vision.decoders import Context, Output
from runtime.vision.decoders.finite import not_numbers
from runtime.vision.placement import Placement

Found = tuple[Array, Array, int]
"""What ``native.decode_*`` gives: boxes ``[n, 6]``, the row of each, how many rows were not finite."""


class Boxes:
    """Labels and thresholds of one detector.

    Args:
        spec: thresholds, from the manifest.
        context: labels, and the user's threshold instead of the manifest's.
    """

    def __init__(self, spec: Detector, context: Context) -> None:
        self._labels = context.labels
        self._where = context.where
        self._limits: dict[str, Any] = {
            "score_threshold": context.threshold(spec.score_threshold),
            "iou_threshold": spec.iou_threshold,
            "class_agnostic": spec.class_agnostic,
            "max_candidates": max(1000, spec.max_detections),
            "max_detections": spec.max_detections,
        }

    def arguments(self, place: Placement) -> dict[str, Any]:
        """The keyword arguments that every ``native.decode_*`` takes."""
        return {**self._limits, **place._asdict()}

    def checked(self, found: Found) -> Found:
        """The same, when the model gave numbers.

        Raises:
            EdgewardError: ``MODEL_RUN`` when it did not: that must not pass for "nothing seen".
        """
        if found[2]:
            raise not_numbers(f"{found[2]} rows", where=self._where)
        return found

    def detections(self, found: Found, *, label_offset: int = 0) -> tuple[Detection, ...]:
        """Named detections, best score first; ``label_offset`` is added to the class index.

        Raises:
            EdgewardError: ``MODEL_RUN`` when the model gave what is no number, or a class without a label.
        """
        boxes, _, _ = self.checked(found)
        return tuple(
            Detection(self._label(int(row[5]) + label_offset), row[4], (row[0], row[1], row[2], row[3]))
            for row in boxes.tolist()
        )

    def _label(self, index: int) -> str:
        if 0 <= index < len(self._labels):
            return self._labels[index]
        raise EdgewardError(
            Code.MODEL_RUN,
            f"the model gave the class {index}, there are labels for 0 to {len(self._labels) - 1}",
            where=self._where,
            remedy="correct labels or label_offset in bundle.toml",
        )


def fits(output: Output, *shape: int | None) -> bool:
    """Whether ``output`` is float32 of that shape; None, on either side, is any size."""
    return (
        output.dtype == "float32"
        and len(output.shape) == len(shape)
        and all(a is None or b is None or a == b for a, b in zip(output.shape, shape, strict=True))
    )


def all_fit(outputs: tuple[Output, ...], *shapes: tuple[int | None, ...]) -> bool:
    """Whether the first outputs have those shapes."""
    return len(outputs) >= len(shapes) and all(
        fits(output, *shape) for output, shape in zip(outputs, shapes, strict=False)
    )


def units(box_units: str, context: Context) -> dict[str, Any]:
    """Tensor pixels a unit of the boxes, as ``native.decode_*`` wants them."""
    if box_units == "pixels":
        return {"unit_x": 1.0, "unit_y": 1.0}
    return {"unit_x": float(context.width), "unit_y": float(context.height)}


def grids(context: Context, strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Lines and columns of cells that cover the input, for each stride."""
    return [(-(-context.height // stride), -(-context.width // stride)) for stride in strides]


def input_size(context: Context) -> dict[str, Any]:
    """The input's size in pixels, as ``native.decode_*`` wants it."""
    return {"input_width": context.width, "input_height": context.height}


def divisible(context: Context, strides: tuple[int, ...]) -> bool:
    """Whether every stride divides the input's width and height."""
    return not any(context.width % stride or context.height % stride for stride in strides)
