"""What all engines do with tensors: the model's own against the manifest's, sizes, and names for errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from runtime.bundle.check_model import resolved
from runtime.bundle.manifest import Quantisation, TensorSpec, Variant
from runtime.engine import Array, TensorInfo, allocate, batchable, first_line, sizes
from runtime.errors import Code, EdgewardError


class Tensors(NamedTuple):
    """The model's tensors, checked, in the manifest's order, and the variant that sizes them."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    variant: Variant


def agreed(
    variant: Variant, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], *, where: str
) -> Tensors:
    """Both sides checked; see ``check``."""
    return Tensors(
        check("input", variant.inputs, inputs, variant, where=where),
        check("output", variant.outputs, outputs, variant, where=where),
        variant,
    )


def shape(spec: TensorSpec, info: TensorInfo, variant: Variant, batch: int) -> tuple[int, ...] | None:
    """The shape in numbers, the manifest's before the model's; None with a size that comes with each run."""
    known = {**variant.dimensions, **sizes(variant, batch)}
    found = []
    for mine, own in zip(spec.shape, info.shape, strict=True):
        size = mine if isinstance(mine, int) else known.get(mine, own)
        if not isinstance(size, int):
            return None
        found.append(size)
    return tuple(found)


def check(
    side: str, declared: Sequence[TensorSpec], found: Sequence[TensorInfo], variant: Variant, *, where: str
) -> tuple[TensorInfo, ...]:
    """The model's tensors in the manifest's order, once they are those of the manifest.

    A size must be equal where both give a number; what the model leaves open takes the manifest's.

    Args:
        side: ``input`` or ``output``: of inputs all must be declared, of outputs those that are read.
        declared: as the manifest has them.
        found: as the engine reports them, in any order.
        variant: gives symbolic dimensions their sizes.
        where: what is loaded, for errors.

    Raises:
        EdgewardError: ``MODEL_MISMATCH``, naming the tensor.
    """
    by_name = {info.name: info for info in found}
    if side == "input" and set(by_name) != {spec.name for spec in declared}:
        wanted = [spec.name for spec in declared]
        mismatch(f"the model's inputs are {sorted(by_name)}, the manifest's {wanted}", where)
    checked = []
    for spec in declared:
        info = by_name.get(spec.name)
        if info is None:
            mismatch(f"the model has no {side} {spec.name!r}, it has {sorted(by_name)}", where)
        # A bool is one byte of 0 or 1, which manifests call uint8.
        if info.dtype != spec.dtype and (info.dtype, spec.dtype) != ("bool", "uint8"):
            what = f"{side} {spec.name!r} is {info.dtype} in the model and {spec.dtype} in the manifest"
            mismatch(what, where)
        if not _fits(side, spec, info, variant):
            mismatch(
                f"{side} {spec.name!r} is {list(info.shape)} in the model, not {list(spec.shape)}", where
            )
        checked.append(info._replace(quantisation=_quantisation(side, spec, info, where)))
    return tuple(checked)


def _fits(side: str, spec: TensorSpec, info: TensorInfo, variant: Variant) -> bool:
    if len(info.shape) != len(spec.shape):
        return False
    batch = set(sizes(variant, 1)) - set(variant.dimensions)
    for size, own in zip(spec.shape, info.shape, strict=True):
        mine = variant.dimensions.get(size, size) if isinstance(size, str) else size
        # A name that no input has leaves the size of an output to the model.
        to_model = side == "output" and isinstance(mine, str) and mine not in batch
        if isinstance(own, int) and mine != own and not to_model:
            return False
    return True


def _quantisation(side: str, spec: TensorSpec, info: TensorInfo, where: str) -> Quantisation | None:
    mine, own = spec.quantisation, info.quantisation
    if mine is None or own is None:
        return mine or own
    # Manifests are written by people: a scale cut to five digits is off by a fortieth of a step at most.
    if mine.zero_point != own.zero_point or abs(mine.scale - own.scale) > 1e-4 * own.scale:
        model = f"scale {own.scale:.9g}, zero point {own.zero_point} in the model"
        manifest = f"{mine.scale:.9g} and {mine.zero_point} in the manifest"
        mismatch(f"the quantisation of {side} {spec.name!r} is {model}, {manifest}", where)
    return mine


def mismatch(what: str, where: str) -> NoReturn:
    """Raise ``MODEL_MISMATCH``."""
    raise EdgewardError(Code.MODEL_MISMATCH, what, where=where, remedy="correct bundle.toml and pack again")


def inputs(known: Tensors, batch: int) -> list[Array]:
    """A kept buffer for each input.

    Raises:
        ValueError: an input has a size that nothing gives; ``check`` and the manifest's own check exclude it.
    """
    buffers = []
    for spec, info in zip(known.variant.inputs, known.inputs, strict=True):
        size = shape(spec, info, known.variant, batch)
        if size is None:
            message = f"the input {spec.name!r} has no size: {list(spec.shape)}"
            raise ValueError(message)
        buffers.append(allocate(spec.dtype, size))
    return buffers


def outputs(known: Tensors, batch: int) -> list[Array | None]:
    """A kept buffer for each output, None where only the model knows the size."""
    buffers: list[Array | None] = []
    for spec, info in zip(known.variant.outputs, known.outputs, strict=True):
        size = shape(spec, info, known.variant, batch)
        buffers.append(None if size is None else allocate(spec.dtype, size))
    return buffers


def empty(spec: TensorSpec) -> Array:
    """Stands for an output whose size only the model knows until the first run."""
    return np.zeros(0, spec.dtype)


def cannot_load(engine: str, error: BaseException, *, where: str, remedy: str) -> EdgewardError:
    """``MODEL_LOAD`` in the engine's own words."""
    what = f"{engine} cannot load the model: {first_line(error)}"
    return EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy)


def cannot_bind(batch: int, error: BaseException, *, where: str) -> EdgewardError:
    """``MODEL_LOAD`` for a batch that the engine does not take or has no memory for."""
    return EdgewardError(
        Code.MODEL_LOAD,
        f"cannot take {batch} pictures at a time: {first_line(error)}",
        where=where,
        remedy="check the shapes in bundle.toml, and the memory that is free",
    )


def cannot_run(error: BaseException, *, where: str) -> EdgewardError:
    """``MODEL_RUN`` in the engine's own words."""
    remedy = "run 'edgeward bundle inspect' on it"
    return EdgewardError(Code.MODEL_RUN, first_line(error), where=where, remedy=remedy)


def check_batch(variant: Variant, batch: int, *, where: str) -> None:
    """Refuse a batch that the manifest does not leave to the device.

    Raises:
        EdgewardError: ``MODEL_LOAD``.
    """
    if batchable(variant):
        return
    picture = next(spec for spec in variant.inputs if spec.feed == "picture")
    only = resolved(picture, variant, batch=1)[0] if len(picture.shape) > 3 else 1
    if batch != only:
        raise EdgewardError(
            Code.MODEL_LOAD,
            f"this model takes {only} pictures at a time, not {batch}",
            where=where,
            remedy="give the first dimension of its picture a name in bundle.toml, where the model allows it",
        )
