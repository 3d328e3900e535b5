"""From a request's message to arrays that fit the model, or why not.

The message comes from outside. Every size in it is compared with what the model takes before anything is
allocated; what the message itself unpacks to is bounded by ``wire``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from runtime.engine import Array
from runtime.serve.interface import Interface, Tensor
from runtime.serve.refusal import Refused, shown

# The field of InferTensorContents that holds each datatype; FP16 has none.
_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "FP32": "fp32_contents",
}
# Elements that are read in one go, during which the cameras' threads stand still.
_AT_A_TIME = 8192
# What clients may ask for beside the protocol and would miss in an answer that ignored it.
_REFUSED_PARAMETERS = ("shared_memory_region", "classification", "sequence_id")


class Inputs(NamedTuple):
    """What a model is to be run on.

    ``arrays`` are in the order of the interface's inputs; ``batch`` counts the pictures; ``outputs`` are
    those that are wanted, by their place in the interface.
    """

    arrays: tuple[Array, ...]
    batch: int
    outputs: tuple[int, ...]


def read(interface: Interface, request: Any) -> Inputs:
    """What a ``ModelInferRequest`` asks of a model.

    Raises:
        Refused: ``INVALID_ARGUMENT`` with what was expected and what came.
    """
    _check_parameters(request.parameters, "the request")
    outputs = _wanted(interface, request.outputs)
    given = _by_name(interface, request.inputs)
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        _refuse(f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs")
    batch = 0
    for tensor in interface.inputs:
        message = request.inputs[given[tensor.name]]
        _check_parameters(message.parameters, f"input {tensor.name!r}")
        _check_datatype(tensor, message.datatype)
        batch = _check_shape(interface, tensor, message.shape, batch)
    arrays = []
    for tensor in interface.inputs:
        at = given[tensor.name]
        size = (batch, *tensor.shape[1:]) if tensor.batched else tensor.shape
        contents = request.inputs[at].contents
        array = _raw(tensor, raw[at], size, contents) if raw else _typed(tensor, contents, size)
        arrays.append(array.reshape(size))
    return Inputs(tuple(arrays), batch, outputs)


def _by_name(interface: Interface, inputs: Sequence[Any]) -> dict[str, int]:
    """Where each of the model's inputs stands in the request."""
    names = [tensor.name for tensor in interface.inputs]
    if len(inputs) > len(names):
        _refuse(f"{len(inputs)} inputs; the model {interface.name} takes {_listed(names)}")
    given: dict[str, int] = {}
    for at, message in enumerate(inputs):
        if message.name not in names:
            _refuse(f"no input {shown(message.name)}; the model {interface.name} takes {_listed(names)}")
        if message.name in given:
            _refuse(f"input {message.name!r} stands there twice")
        given[message.name] = at
    missing = [name for name in names if name not in given]
    if missing:
        _refuse(f"input {missing[0]!r} is missing; the model {interface.name} takes {_listed(names)}")
    return given


def _wanted(interface: Interface, outputs: Sequence[Any]) -> tuple[int, ...]:
    names = [tensor.name for tensor in interface.outputs]
    if not outputs:
        return tuple(range(len(names)))
    if len(outputs) > len(names):
        _refuse(f"{len(outputs)} outputs are asked for; the model {interface.name} has {_listed(names)}")
    found: list[int] = []
    for message in outputs:
        if message.name not in names:
            _refuse(f"no output {shown(message.name)}; the model {interface.name} has {_listed(names)}")
        _check_parameters(message.parameters, f"output {message.name!r}")
        at = names.index(message.name)
        if at in found:
            _refuse(f"output {message.name!r} is asked for twice")
        found.append(at)
    return tuple(found)


def _check_parameters(parameters: Mapping[str, Any], where: str) -> None:
    for name in _REFUSED_PARAMETERS:
        if name in parameters:
            _refuse(f"{where}: the parameter {name!r} is not supported; leave it out")


def _check_datatype(tensor: Tensor, datatype: str) -> None:
    if datatype != tensor.datatype:
        kind = " is not supported:" if datatype in {"BYTES", "BF16"} else ":"
        _refuse(f"input {tensor.name!r}: datatype {shown(datatype)}{kind} expected {tensor.datatype}")


def _check_shape(interface: Interface, tensor: Tensor, shape: Sequence[int], batch: int) -> int:
    """The number of pictures, which all inputs must agree on; ``batch`` is that of those before, or 0."""
    sizes = tuple(shape[: len(tensor.shape) + 1])
    expected = list(tensor.open_shape)
    if not tensor.batched:
        if sizes != tensor.shape:
            _refuse(f"input {tensor.name!r}: shape {_sizes(shape)}, expected {expected}")
        return 1
    if len(sizes) != len(expected) or sizes[1:] != tensor.shape[1:]:
        _refuse(
            f"input {tensor.name!r}: shape {_sizes(shape)}, expected {expected} "
            f"with 1 to {interface.max_batch} first"
        )
    if not 1 <= sizes[0] <= interface.max_batch:
        _refuse(f"input {tensor.name!r}: {sizes[0]} pictures, expected 1 to {interface.max_batch}")
    if batch and sizes[0] != batch:
        _refuse(f"input {tensor.name!r}: {sizes[0]} pictures, the inputs before it have {batch}")
    return int(sizes[0])


def _raw(tensor: Tensor, data: bytes, size: tuple[int, ...], contents: Any) -> Array:
    if contents.ByteSize():
        _refuse(f"input {tensor.name!r} has both contents and raw_input_contents; send one of them")
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    expected = int(np.prod(size, dtype=np.int64)) * dtype.itemsize
    if len(data) != expected:
        _refuse(
            f"input {tensor.name!r}: {len(data)} bytes, expected {expected} "
            f"for {list(size)} of {tensor.datatype}"
        )
    array = np.frombuffer(data, dtype)
    if tensor.datatype == "BOOL" and array.size and array.max() > 1:
        _refuse(f"input {tensor.name!r}: a byte of BOOL is {array.max()}, expected 0 or 1")
    return array


def _typed(tensor: Tensor, contents: Any, size: tuple[int, ...]) -> Array:
    field = _FIELDS.get(tensor.datatype)
    if field is None:
        _refuse(f"input {tensor.name!r}: {tensor.datatype} has no typed contents; send raw_input_contents")
    others = [descriptor.name for descriptor, _ in contents.ListFields() if descriptor.name != field]
    if others:
        _refuse(f"input {tensor.name!r}: {others[0]} holds no {tensor.datatype}; expected {field}")
    elements = getattr(contents, field)
    expected = int(np.prod(size, dtype=np.int64))
    if len(elements) != expected:
        _refuse(
            f"input {tensor.name!r}: {len(elements)} elements, expected {expected} "
            f"for {list(size)} of {tensor.datatype}"
        )
    return _narrowed(tensor, elements, expected)


def _narrowed(tensor: Tensor, elements: Sequence[Any], count: int) -> Array:
    """The elements in the tensor's own type: the protocol sends small integers as larger ones."""
    array = np.empty(count, tensor.dtype)
    for at in range(0, count, _AT_A_TIME):
        some: Array = np.array(elements[at : at + _AT_A_TIME])
        if array.dtype.kind != "f":
            limits = np.iinfo(array.dtype)
            beyond = some[(some < limits.min) | (some > limits.max)]
            if beyond.size:
                _refuse(f"input {tensor.name!r}: {beyond[0]} is no {tensor.datatype}")
        array[at : at + _AT_A_TIME] = some
    return array


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:20])) + (" and more" if len(names) > 20 else "")


def _sizes(shape: Sequence[int]) -> str:
    shown_sizes = [str(size) for size in shape[:8]]
    return f"[{', '.join(shown_sizes)}{', ...' if len(shape) > 8 else ''}]"


def _refuse(text: str) -> NoReturn:
    raise Refused("INVALID_ARGUMENT", text)
