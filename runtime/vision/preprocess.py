"""From a decoded picture, or parts of it, into the model's input tensor, by the native fused pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import native
from runtime.bundle.manifest import InputSpec, Preprocess
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.source.frame import Frame, Picture
from runtime.vision.placement import Placement

_PLANS = 16

Crop = tuple[int, int, int, int]
"""x, y, width, height in pixels of the source picture."""


class _Plan(NamedTuple):
    native: native.Preprocess
    placement: Placement


class Preprocessor:
    """Keeps one native plan per kind of picture; cameras change theirs seldom.

    Args:
        spec: fit, colour order and normalising, from the manifest.
        tensor: the model's input; ``[B, 3, H, W]`` or ``[B, H, W, 3]``, as ``spec.layout`` says; one channel
            instead of three for ``order = "gray"``.
        shape: the same in numbers, for one picture.
        where: the bundle's name, for errors.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the tensor is no picture of that layout and order.
    """

    def __init__(self, spec: Preprocess, tensor: InputSpec, shape: Sequence[int], *, where: str) -> None:
        self._spec = spec
        self._dtype = tensor.dtype
        self._quantisation = tensor.quantisation
        self.height, self.width = _size(spec, tensor.name, shape, where)
        self._plans: dict[Picture, _Plan] = {}

    def run(self, frame: Frame, out: Array) -> Placement:
        """Fill ``out``, one picture's tensor, from the whole of ``frame``."""
        plan = self._plan(frame.picture)
        plan.native.run(frame.planes, frame.strides, out)
        return plan.placement

    def run_crops(self, frame: Frame, crops: Sequence[Crop], out: Array) -> list[Placement]:
        """Fill the first ``len(crops)`` pictures of the batch ``out`` from parts of ``frame``."""
        width, height = frame.picture.width, frame.picture.height
        mappings = self._plan(frame.picture).native.run_crops(frame.planes, frame.strides, crops, out)
        return [
            Placement(*mapping, min(width, x + w), min(height, y + h), max(0, x), max(0, y))
            for mapping, (x, y, w, h) in zip(mappings, crops, strict=True)
        ]

    def _plan(self, picture: Picture) -> _Plan:
        plan = self._plans.get(picture)
        if plan is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()  # a camera that changes its size again and again must not fill the memory
            plan = self._plans[picture] = self._make(picture)
        return plan

    def _make(self, picture: Picture) -> _Plan:
        spec, quantisation = self._spec, self._quantisation
        made = native.Preprocess(
            format=picture.format,
            width=picture.width,
            height=picture.height,
            matrix=picture.matrix,
            full_range=picture.full_range,
            out_width=self.width,
            out_height=self.height,
            fit=spec.fit,
            sampling=spec.sampling,
            pad=spec.pad,
            order=spec.order,
            mean=spec.mean,
            std=spec.std,
            scale=spec.scale,
            dtype=self._dtype,
            layout=spec.layout,
            quant_scale=quantisation.scale if quantisation else 1.0,
            quant_zero_point=quantisation.zero_point if quantisation else 0,
        )
        return _Plan(
            made,
            Placement(
                made.scale_x,
                made.scale_y,
                made.pad_x,
                made.pad_y,
                made.crop_x,
                made.crop_y,
                picture.width,
                picture.height,
            ),
        )


def _size(spec: Preprocess, name: str, shape: Sequence[int], where: str) -> tuple[int, int]:
    """Height and width of the tensor in pixels."""
    depth = 1 if spec.order == "gray" else 3
    channels, rows = (1, 2) if spec.layout == "nchw" else (3, 1)
    if len(shape) == 4 and shape[0] == 1 and shape[channels] == depth:
        return shape[rows], shape[rows + 1]
    expected = f"[1, {depth}, H, W]" if spec.layout == "nchw" else f"[1, H, W, {depth}]"
    raise EdgewardError(
        Code.BUNDLE_MANIFEST,
        f"input {name!r} has the shape {list(shape)}, "
        f"the layout {spec.layout} with order {spec.order} calls for {expected}",
        where=where,
        remedy="correct the input's shape, or preprocess.layout or order, in bundle.toml",
    )
