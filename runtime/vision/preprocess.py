"""From a decoded picture into the model's input tensor, by the native fused pass."""

from __future__ import annotations

import native
from runtime.bundle.manifest import Preprocess, TensorSpec
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.source.frame import Frame, Picture

_PLANS = 16


class Preprocessor:
    """Keeps one native plan per kind of picture; cameras change theirs seldom.

    Args:
        spec: fit, colour order and normalising, from the manifest.
        tensor: the model's input; ``[1, 3, H, W]`` or ``[1, H, W, 3]``, as ``spec.layout`` says.
        where: the bundle's name, for errors.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when ``tensor`` is no picture of three channels.
    """

    def __init__(self, spec: Preprocess, tensor: TensorSpec, *, where: str) -> None:
        self._spec = spec
        self._dtype = tensor.dtype
        self.height, self.width = _size(spec, tensor, where)
        self._plans: dict[Picture, native.Preprocess] = {}

    def run(self, frame: Frame, out: Array) -> native.Preprocess:
        """Fill ``out`` from ``frame``; the plan tells how to map boxes back to the picture."""
        plan = self._plans.get(frame.picture)
        if plan is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()  # a camera that changes its size again and again must not fill the memory
            plan = self._plans[frame.picture] = self._plan(frame.picture)
        plan.run(frame.planes, frame.strides, out)
        return plan

    def _plan(self, picture: Picture) -> native.Preprocess:
        spec = self._spec
        return native.Preprocess(
            format=picture.format,
            width=picture.width,
            height=picture.height,
            matrix=picture.matrix,
            full_range=picture.full_range,
            out_width=self.width,
            out_height=self.height,
            fit=spec.fit,
            pad=spec.pad,
            order=spec.order,
            mean=spec.mean,
            std=spec.std,
            scale=spec.scale,
            dtype=self._dtype,
            layout=spec.layout,
        )


def _size(spec: Preprocess, tensor: TensorSpec, where: str) -> tuple[int, int]:
    """Height and width of the tensor in pixels."""
    shape = tensor.shape
    channels, rows = (1, 2) if spec.layout == "nchw" else (3, 1)
    if len(shape) == 4 and shape[0] == 1 and shape[channels] == 3:
        height, width = shape[rows], shape[rows + 1]
        if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
            return height, width
    expected = "[1, 3, H, W]" if spec.layout == "nchw" else "[1, H, W, 3]"
    raise EdgewardError(
        Code.BUNDLE_MANIFEST,
        f"input {tensor.name!r} has the shape {list(shape)}, the layout {spec.layout} calls for {expected}",
        where=where,
        remedy="correct the input's shape or preprocess.layout in bundle.toml",
    )
