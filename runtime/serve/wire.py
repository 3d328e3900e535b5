"""How much a message will unpack to, known before it is unpacked.

Two bytes on the wire may become an object of a hundred in memory, and meanwhile no other thread of the worker
can run. So the fields of a message are counted first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from runtime.serve.refusal import Refused

MOST_FIELDS = 4096
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_TEXTS = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_BYTES_OF = {FieldDescriptor.TYPE_FLOAT: 4, FieldDescriptor.TYPE_DOUBLE: 8}
_LONGEST_VARINT = 10


def check(kind: Any, data: bytes, *, most_numbers: int) -> None:
    """Refuse a message that would unpack to much more than itself.

    Args:
        kind: class of the message.
        data: as it came.
        most_numbers: in all repeated fields of numbers together.

    Raises:
        Refused: ``INVALID_ARGUMENT``.
    """
    _Count(kind.DESCRIPTOR, most_numbers).add(memoryview(data), kind.DESCRIPTOR)


def no_message(descriptor: Descriptor) -> Refused:
    """The answer to what cannot be unpacked."""
    return Refused("INVALID_ARGUMENT", f"the request is no {descriptor.full_name}")


class _Count:
    def __init__(self, outermost: Descriptor, most_numbers: int) -> None:
        self._outermost = outermost
        self._most_numbers = most_numbers
        self._fields = 0
        self._numbers = 0

    def add(self, data: memoryview, descriptor: Descriptor) -> None:
        """Count what is in ``data``, a message of that kind."""
        at = 0
        while at < len(data):
            self._fields += 1
            if self._fields > MOST_FIELDS:
                text = f"the request has more than {MOST_FIELDS} fields; pack numbers, or send them raw"
                raise Refused("INVALID_ARGUMENT", text)
            key, at = self._varint(data, at)
            size = 0
            if key & 7 == _LENGTH:
                size, at = self._varint(data, at)
            elif key & 7 == _VARINT:
                _, at = self._varint(data, at)
            elif key & 7 in {_FIXED64, _FIXED32}:
                size = 8 if key & 7 == _FIXED64 else 4
            else:
                raise no_message(self._outermost)
            if at + size > len(data):
                raise no_message(self._outermost)
            if key & 7 == _LENGTH:
                self._add_field(data[at : at + size], descriptor.fields_by_number.get(key >> 3))
            at += size

    def _add_field(self, data: memoryview, field: FieldDescriptor | None) -> None:
        if field is None or field.type in _TEXTS:
            return
        if field.message_type is not None:
            self.add(data, field.message_type)
            return
        width = _BYTES_OF.get(field.type)
        # The last byte of a varint is the one below 128.
        last = np.frombuffer(data, np.uint8) < 128
        self._numbers += len(data) // width if width else int(np.count_nonzero(last))
        if self._numbers > self._most_numbers:
            text = f"the request has more than {self._most_numbers} numbers, which no model here takes"
            raise Refused("INVALID_ARGUMENT", text)

    def _varint(self, data: memoryview, at: int) -> tuple[int, int]:
        value = 0
        for index, byte in enumerate(data[at : at + _LONGEST_VARINT]):
            value |= (byte & 127) << 7 * index
            if byte < 128:
                return value, at + index + 1
        raise no_message(self._outermost)
