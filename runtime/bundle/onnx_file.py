"""Which files beside it an ONNX file keeps weights in, read off its wire format (onnx.proto, protobuf).

Such files were not hashed with the model. onnxruntime can be told to look for them nowhere; OpenVINO cannot:
it looks in the current folder.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Which fields of a message lead to tensors, by the numbers of onnx.proto: field to the message that it holds.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_KEY, _VALUE = 1, 2
_MAX_DEPTH = 32


def external_files(model: bytes) -> Iterator[str]:
    """The name of the file in which a tensor lies, for each that lies in another; ``""`` where it has none.

    Raises:
        ValueError: this is no ONNX file.
    """
    try:
        yield from _external(memoryview(model), "model", 0)
    except IndexError as error:
        message = "the file is cut short"
        raise ValueError(message) from error


def refers_elsewhere(model: bytes) -> bool:
    """True when a tensor of the model lies in another file.

    Raises:
        ValueError: this is no ONNX file.
    """
    return next(external_files(model), None) is not None


def _external(data: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        message = "graphs are nested too deeply"
        raise ValueError(message)
    inner = _FIELDS[kind]
    name, elsewhere = "", False
    for number, value in _fields(data):
        if kind == "tensor":
            elsewhere |= number == _DATA_LOCATION and value == 1
            if number == _EXTERNAL_DATA and isinstance(value, memoryview):
                name = _location(value) or name
        if number in inner and isinstance(value, memoryview):
            yield from _external(value, inner[number], depth + 1)
    if elsewhere:
        yield name


def _location(entry: memoryview) -> str:
    """The file's name in an entry of ``external_data``, a pair of texts; empty in other entries."""
    texts = {number: bytes(value) for number, value in _fields(entry) if isinstance(value, memoryview)}
    is_location = texts.get(_KEY) == b"location"
    return texts.get(_VALUE, b"").decode("utf-8", "backslashreplace") if is_location else ""


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
