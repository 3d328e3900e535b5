"""TOML as a person would write it: one key a line, comments above what they are about."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import msgspec

_WIDTH = 100


def comment(text: str) -> str:
    """``text`` as comment lines."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(f"# {line}\n" for line in textwrap.wrap(plain, _WIDTH - 2))


def text(value: str) -> str:
    """A basic string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def inline(value: Any) -> str:
    """A value on one line; of a struct what differs from its defaults."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(inline, value))}]"
    pairs = msgspec.to_builtins(value).items()
    return "{ " + ", ".join(f"{_key(key)} = {inline(each)}" for key, each in pairs) + " }"


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else text(key)


def several(key: str, values: tuple[Any, ...]) -> str:
    """A list of tables, one a line where there are several."""
    if len(values) == 1:
        return f"{key} = [{inline(values[0])}]\n"
    return f"{key} = [\n" + "".join(f"  {inline(value)},\n" for value in values) + "]\n"
