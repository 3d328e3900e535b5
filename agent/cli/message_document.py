"""A message of the control interface as plain data, for ``--json``.

protobuf's own JSON makes texts of 64-bit numbers and leaves fields out; a program that reads our output wants
numbers, and each field each time. What is not known is ``null``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message


def document(message: Message) -> dict[str, Any]:
    """Every field by its name in ``control.proto``, whether it is set or not."""
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    is_message = field.message_type is not None
    if field.is_repeated:
        return [document(item) for item in value] if is_message else list(value)
    if field.has_presence and not message.HasField(field.name):
        return None
    if is_message:
        return document(value)
    return round(value, 3) if isinstance(value, float) else value
