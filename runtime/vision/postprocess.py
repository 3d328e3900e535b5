"""From the model's output tensors to detections in the picture's pixels."""

from __future__ import annotations

import native
from runtime.bundle.manifest import Yolox
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.ipc import Detection
from runtime.source.frame import Frame
from runtime.vision.preprocess import Preprocessor


class YoloxDecoder:
    """YOLOX head (Ge et al. 2021, arXiv:2107.08430) and class-wise non-maximum suppression, native.

    Args:
        spec: strides and thresholds, from the manifest.
        labels: class names in the order of the head's class scores.
        output: the kept output buffer, float32 ``[1, N, 5 + len(labels)]``.
        preprocessor: tells the tensor's height and width in pixels.
        score_threshold: 0..1, instead of the manifest's, or None.
        where: the bundle's name, for errors.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the output does not have that shape.
    """

    def __init__(
        self,
        spec: Yolox,
        labels: tuple[str, ...],
        output: Array,
        preprocessor: Preprocessor,
        *,
        score_threshold: float | None,
        where: str,
    ) -> None:
        self._spec = spec
        self._labels = labels
        self._output = output
        self._where = where
        self._width, self._height = preprocessor.width, preprocessor.height
        self._score_threshold = spec.score_threshold if score_threshold is None else score_threshold
        rows = sum((self._width // stride) * (self._height // stride) for stride in spec.strides)
        expected = (1, rows, 5 + len(labels))
        if output.shape != expected or output.dtype != "float32":
            raise EdgewardError(
                Code.BUNDLE_MANIFEST,
                f"the decoder yolox with {len(labels)} labels and strides {list(spec.strides)} reads float32 "
                f"{list(expected)}, the output is {output.dtype} {list(output.shape)}",
                where=where,
                remedy="correct labels, strides or the output's shape in bundle.toml",
            )

    def detections(self, frame: Frame, plan: native.Preprocess) -> tuple[Detection, ...]:
        """What the output buffer says about ``frame``, best score first.

        Raises:
            EdgewardError: ``MODEL_RUN`` when the output is not finite: that must not pass for "nothing seen".
        """
        rows, broken = native.decode_yolox_counted(
            self._output,
            input_width=self._width,
            input_height=self._height,
            strides=self._spec.strides,
            score_threshold=self._score_threshold,
            iou_threshold=self._spec.iou_threshold,
            class_agnostic=self._spec.class_agnostic,
            max_detections=self._spec.max_detections,
            scale_x=plan.scale_x,
            scale_y=plan.scale_y,
            pad_x=plan.pad_x,
            pad_y=plan.pad_y,
            crop_x=plan.crop_x,
            crop_y=plan.crop_y,
            frame_width=frame.picture.width,
            frame_height=frame.picture.height,
        )
        if broken:
            raise EdgewardError(
                Code.MODEL_RUN,
                f"the model gave {broken} rows that are not numbers",
                where=self._where,
                remedy="send the bundle back to its author: this variant overflows on this board",
            )
        return tuple(
            Detection(self._labels[int(row[5])], row[4], (row[0], row[1], row[2], row[3]))
            for row in rows.tolist()
        )
