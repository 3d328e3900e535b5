"""Whether a LiteRT file is whole, by its layout (FlatBuffers; schema.fbs of LiteRT, version 3).

``tflite_runtime`` reads a model that it is given as bytes without looking at it first: a file that is cut or
is something else ends the process. So every offset of the parts that it follows is checked here before.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")
_IDENTIFIER = b"TFL3"


class _Field(NamedTuple):
    """What an offset leads to: a vector of items of ``size`` bytes, or tables (``of``), or one table."""

    size: int = 0
    of: str = ""
    single: bool = False


_BYTES, _INTS, _LONGS = _Field(size=1), _Field(size=4), _Field(size=8)

# The fields that hold offsets, by their numbers in the schema; options of operators are looked at no deeper.
_TABLES: dict[str, dict[int, _Field]] = {
    "model": {
        1: _Field(of="operator code"),
        2: _Field(of="subgraph"),
        3: _BYTES,
        4: _Field(of="buffer"),
        5: _INTS,
    },
    "operator code": {1: _BYTES},
    "subgraph": {0: _Field(of="tensor"), 1: _INTS, 2: _INTS, 3: _Field(of="operator"), 4: _BYTES},
    "tensor": {0: _INTS, 3: _BYTES, 4: _Field(of="quantisation", single=True), 7: _INTS},
    "quantisation": {0: _INTS, 1: _INTS, 2: _INTS, 3: _LONGS},
    "operator": {1: _INTS, 2: _INTS, 4: _Field(of="options", single=True), 5: _BYTES},
    "buffer": {0: _BYTES},
    "options": {},
}


def check(model: bytes) -> None:
    """Follow the offsets of a model.

    Raises:
        ValueError: it is no LiteRT file, or not a whole one.
    """
    if model[4:8] != _IDENTIFIER:
        message = "this is no LiteRT file: it does not carry the mark TFL3"
        raise ValueError(message)
    try:
        _table(model, _U32.unpack_from(model, 0)[0], "model")
    except struct.error as error:
        message = "the file is cut short or damaged: an offset leads out of it"
        raise ValueError(message) from error


def _table(data: bytes, at: int, kind: str) -> None:
    """One table: its own description (the vtable) first, then the fields that it says are there."""
    fields = at - _I32.unpack_from(data, at)[0]
    if fields < 0:
        message = "an offset leads in front of the file"
        raise struct.error(message)
    (size,) = _U16.unpack_from(data, fields)
    for number, field in _TABLES[kind].items():
        entry = 4 + 2 * number
        if entry + 2 > size:
            continue
        (offset,) = _U16.unpack_from(data, fields + entry)
        if offset == 0:
            continue
        target = at + offset + _U32.unpack_from(data, at + offset)[0]
        if field.single:
            _table(data, target, field.of)
            continue
        (count,) = _U32.unpack_from(data, target)
        if target + 4 + count * (field.size or 4) > len(data):
            message = f"a list of a {kind} is longer than the file"
            raise struct.error(message)
        for each in range(target + 4, target + 4 + 4 * count, 4) if field.of else ():
            _table(data, each + _U32.unpack_from(data, each)[0], field.of)
