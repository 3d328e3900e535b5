"""Whether an ONNX file keeps weights in files beside it, read off its wire format (onnx.proto, protobuf).

Such files were not hashed with the model. onnxruntime can be told to look for them nowhere; OpenVINO cannot:
it looks in the current folder.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Which fields of a message lead to tensors, by the numbers of onnx.proto: field to the message that it holds.
_FIELDS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_DATA_LOCATION = 14
_MAX_DEPTH = 32


def refers_elsewhere(model: bytes) -> bool:
    """True when a tensor of the model lies in another file.

    Raises:
        ValueError: this is no ONNX file.
    """
    try:
        return _refers(memoryview(model), "model", 0)
    except IndexError as error:
        message = "the file is cut short"
        raise ValueError(message) from error


def _refers(data: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        message = "graphs are nested too deeply"
        raise ValueError(message)
    inner = _FIELDS[kind]
    for number, value in _fields(data):
        if kind == "tensor" and number == _DATA_LOCATION and value == 1:
            return True
        if number in inner and isinstance(value, memoryview) and _refers(value, inner[number], depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and their values: a number, or the bytes of a string or message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in {_FIXED64, _FIXED32}:
            size = 8 if wire == _FIXED64 else 4
        else:
            message = f"wire type {wire} is not one of protobuf's"
            raise ValueError(message)
        if at + size > len(data):
            message = "the file is cut short"
            raise ValueError(message)
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            message = "a number is longer than 64 bits"
            raise ValueError(message)
