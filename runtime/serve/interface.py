"""The tensors of a served model, as clients of the protocol see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.bundle.check_model import resolved
from runtime.bundle.manifest import InputSpec, TensorSpec, Variant
from runtime.engine import TensorInfo, batchable
from runtime.model import Model

DATATYPES = {
    "float32": "FP32",
    "float16": "FP16",
    "uint8": "UINT8",
    "int8": "INT8",
    "int32": "INT32",
    "int64": "INT64",
    "bool": "BOOL",
}
# Bytes of an element in a message at most. Integers may be varints, of which negative ones have 10.
_WIDEST = {"FP32": 4, "FP16": 2, "UINT8": 2, "INT8": 10, "INT32": 10, "INT64": 10, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output.

    Attributes:
        name: as the manifest has it.
        dtype: the manifest's, which is NumPy's name of it.
        datatype: the protocol's word for it; ``BOOL`` where the model's own type is bool.
        shape: of one picture; -1 where only the model knows the size.
        batched: whether the first size counts the pictures of a request.
    """

    name: str
    dtype: str
    datatype: str
    shape: tuple[int, ...]
    batched: bool

    @property
    def open_shape(self) -> tuple[int, ...]:
        """The shape with -1 for whatever is not always the same."""
        return (-1, *self.shape[1:]) if self.batched else self.shape


@dataclass(frozen=True, slots=True)
class Interface:
    """What a model takes and gives. ``at`` is where each input stands among all of the model's."""

    name: str
    version: str
    platform: str
    inputs: tuple[Tensor, ...]
    at: tuple[int, ...]
    outputs: tuple[Tensor, ...]
    max_batch: int

    @property
    def request_numbers(self) -> int:
        """Elements of the largest request."""
        return sum(math.prod(tensor.shape) for tensor in self.inputs) * self.max_batch

    @property
    def request_bytes(self) -> int:
        """Of the tensors of the largest request, in the encoding that needs most."""
        sizes = [math.prod(tensor.shape) * _WIDEST[tensor.datatype] for tensor in self.inputs]
        return sum(sizes) * self.max_batch


def interface_of(model: Model, *, max_batch: int) -> Interface:
    """The interface of a loaded model.

    What the bundle feeds with constants is the bundle's, and is not offered. A model's state is an input and
    an output like any other here: whoever asks keeps it, the streams' own is never touched.

    Args:
        model: loaded.
        max_batch: pictures of one request at most, for models that take several.
    """
    variant = model.variant
    given = [at for at, spec in enumerate(variant.inputs) if spec.feed != "value"]
    many = _takes_several(variant, [variant.inputs[at] for at in given])
    engine = model.engine
    return Interface(
        name=model.manifest.name,
        version=model.manifest.version,
        platform=variant.engine,
        inputs=tuple(_input(variant.inputs[at], engine.inputs[at], variant, many) for at in given),
        at=tuple(given),
        outputs=tuple(
            _output(spec, info, variant, many)
            for spec, info in zip(variant.outputs, engine.outputs, strict=True)
        ),
        max_batch=max_batch if many else 1,
    )


def _takes_several(variant: Variant, given: Sequence[InputSpec]) -> bool:
    """Whether each input and output has the number of pictures as its first size, so that it can be cut."""
    if not batchable(variant):
        return False
    picture = next(spec.shape[0] for spec in given if spec.feed == "picture")
    return all(spec.shape[:1] == (picture,) for spec in (*given, *variant.outputs))


def _input(spec: TensorSpec, info: TensorInfo, variant: Variant, many: bool) -> Tensor:
    shape = resolved(spec, variant, batch=1)
    return Tensor(spec.name, spec.dtype, _datatype(spec, info), shape, many)


def _output(spec: TensorSpec, info: TensorInfo, variant: Variant, many: bool) -> Tensor:
    known = {size for one in variant.inputs for size in one.shape if isinstance(size, str)}
    known |= set(variant.dimensions)
    shape = tuple(
        size if isinstance(size, int) else variant.dimensions.get(size, 1 if size in known else -1)
        for size in spec.shape
    )
    return Tensor(spec.name, spec.dtype, _datatype(spec, info), shape, many)


def _datatype(spec: TensorSpec, info: TensorInfo) -> str:
    return DATATYPES["bool" if info.dtype == "bool" else spec.dtype]
