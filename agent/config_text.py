"""Writes an effective configuration as TOML again, for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def to_toml(document: dict[str, Any]) -> str:
    """``document`` (of ``config_file.effective``) as TOML; keys that are not set are left out."""
    return "\n".join(_table(document, "", opening="")).lstrip("\n") + "\n"


def _table(table: dict[str, Any], path: str, *, opening: str) -> Iterator[str]:
    if opening:
        yield opening
    nested = {name: value for name, value in table.items() if _is_nested(value)}
    for name, value in table.items():
        if name not in nested and value is not None:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in nested.items():
        inner = f"{path}.{_key(name)}" if path else _key(name)
        if isinstance(value, dict):
            yield ""
            yield from _table(value, inner, opening=f"[{inner}]")
        else:
            for item in value:
                yield ""
                yield from _table(item, inner, opening=f"[[{inner}]]")


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, dict) for item in value)
    )


def _key(name: str) -> str:
    return name if _BARE_KEY.match(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    # A JSON text is a TOML text, but for the delete character, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
