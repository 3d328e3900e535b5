"""What the reference pages must say of a struct's keys."""

from __future__ import annotations

from typing import Any

import msgspec

from runtime.bundle.strict import _wanted, keys_of


def default_of(kind: Any, key: str) -> str:
    """The default in words, or ``required``."""
    for field in msgspec.structs.fields(kind):
        if field.encode_name == key and not field.required:
            default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            if isinstance(default, msgspec.Struct):
                return "none of its keys"
            if default in ("", (), {}, None):
                return "empty" if default is not None else "none"
            if isinstance(default, tuple):
                return f"`{list(default)}`"
            return f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return "required"


def type_of(kind: Any) -> str:
    """The type in words; tables have a section of their own."""
    wanted = _wanted(kind)
    if wanted.startswith("a table"):
        return "table"
    return wanted.replace("a list of a table with", "tables:").split(":")[0]


def expected(kind: Any) -> list[tuple[str, str, str]]:
    """Key, type and default of each key, in the order of the struct."""
    return [(f"`{key}`", type_of(hint), default_of(kind, key)) for key, (hint, _) in keys_of(kind).items()]
