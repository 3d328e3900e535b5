"""What goes into the model beside the picture, and its outputs as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.check_model import resolved
from runtime.bundle.manifest import InputSpec, Quantisation, TensorSpec, Variant
from runtime.vision.placement import Placement

Array = NDArray[Any]
_AS_THEY_ARE = ("float32", "int32", "int64")


def inputs(variant: Variant, picture: Array, place: Placement, size: tuple[int, int]) -> dict[str, Array]:
    """A tensor for each input, by name; ``size``: height and width of the source picture in pixels."""

    def fed(spec: InputSpec) -> Array:
        if spec.feed == "picture":
            return picture
        numbers: Sequence[float] = spec.value or (0.0,)
        if spec.feed == "picture_size":
            numbers = size
        elif spec.feed == "picture_scale":
            numbers = (place.scale_y, place.scale_x)
        shape = resolved(spec, variant, batch=1)
        values = np.asarray(numbers, np.float64)
        return (np.full(shape, values[0]) if values.size == 1 else values.reshape(shape)).astype(spec.dtype)

    return {spec.name: fed(spec) for spec in variant.inputs}


def numbers(
    variant: Variant, raw: Sequence[Array], own: Mapping[str, Quantisation]
) -> list[tuple[str, Array]]:
    """Name and numbers of each output with a leading 1: float32, or int32 and int64 as they came.

    ``own``: the model file's quantisation by name, for outputs of which the manifest says nothing.
    """
    found = []
    for spec, array in zip(variant.outputs, raw, strict=True):
        quantisation = spec.quantisation or own.get(spec.name)
        if spec.dtype in _AS_THEY_ARE:
            values = array
        elif quantisation is not None and array.dtype.kind in "iu":
            whole = array.astype(np.float32) - np.float32(quantisation.zero_point)
            values = whole * np.float32(quantisation.scale)
        else:
            values = array.astype(np.float32)
        found.append((spec.name, values if _is_batched(spec, variant) else values[np.newaxis]))
    return found


def _is_batched(spec: TensorSpec, variant: Variant) -> bool:
    """Whether the leading dimension counts pictures; an output that has none such gets one."""
    if not spec.shape:
        return False
    leading, rest = spec.shape[0], spec.shape[1:]
    if isinstance(leading, int):
        return leading == 1
    if leading in variant.dimensions:
        return variant.dimensions[leading] == 1
    of_inputs = {size for given in variant.inputs for size in given.shape}
    # ["n", 7]: the model decides on the rows of one picture; ["batch", "n", 6]: on those of each.
    return leading in of_inputs or any(not isinstance(size, int) for size in rest)
