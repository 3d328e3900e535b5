"""Adds a ``[[variant]]`` to a ``bundle.toml`` and leaves every byte of it that was there as it was."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from runtime.authoring.toml_text import comment, inline, several, text
from runtime.bundle.author import AUTHOR_NAME, Author, VariantTable
from runtime.bundle.regular_file import BUNDLE, read_regular
from runtime.bundle.replace import NewFile, write_together
from runtime.bundle.strict import Mismatch, convert
from runtime.errors import Code, EdgewardError

_MAX_TOML = 1 << 20
_FIRST = ("id", "engine", "engine_version", "file", "weights", "precision", "dimensions")


def block(variant: VariantTable, remarks: tuple[str, ...]) -> str:
    """The table of ``variant`` with ``remarks`` above it."""
    lines = "\n" + "".join(map(comment, remarks)) + "[[variant]]\n"
    fields = {field.name: field for field in msgspec.structs.fields(variant)}
    for name in (*_FIRST, *(name for name in fields if name not in _FIRST)):
        field, value = fields[name], getattr(variant, name)
        if value == field.default or (value in ((), {}, None) and not field.required):
            continue
        if name in {"inputs", "outputs"}:
            lines += several(field.encode_name, tuple(map(msgspec.to_builtins, value)))
        else:
            lines += f"{field.encode_name} = {_value(value)}\n"
    return lines


def _value(value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        fields = msgspec.to_builtins(value)
        own = {name.name: getattr(value, name.name) for name in msgspec.structs.fields(value)}
        shown = {key: each for key, each in fields.items() if key not in own or own[key] is not None}
        return inline(shown)
    return text(value) if isinstance(value, str) else inline(value)


def append(folder: Path, added: str, variant: VariantTable, model: bytes) -> None:
    """Write the model file and the longer ``bundle.toml``, both or neither.

    Raises:
        EdgewardError: ``USAGE`` when the file cannot be added to; ``SYSTEM_*``, ``BUNDLE_*``.
    """
    path = folder / AUTHOR_NAME
    old = read_regular(path, BUNDLE, limit=_MAX_TOML, follow_links=True).decode("utf-8")
    more = ("" if old.endswith("\n") else "\n") + added
    new = old + (more.replace("\n", "\r\n") if "\r\n" in old else more)
    try:
        author = convert(tomllib.loads(new), Author)
        fits = author.variants[-1] == variant
    except (ValueError, Mismatch) as error:
        what = f"a [[variant]] cannot be added behind its end: {error}"
        remedy = "write the variants as [[variant]] tables instead of a list"
        raise EdgewardError(Code.USAGE, what, where=str(path), remedy=remedy) from error
    if not fits:
        message = f"what was written is not what was meant: {added}"
        raise AssertionError(message)
    # Of a link the file behind it is written.
    place = path.resolve()
    mode = place.stat().st_mode & 0o777
    file = folder / variant.file
    if os.path.lexists(file):
        what, remedy = "it exists already", "remove it, or rename it"
        raise EdgewardError(Code.USAGE, what, where=str(file), remedy=remedy)
    try:
        write_together([NewFile(file, model, 0o644), NewFile(place, new.encode(), mode)], replace=True)
    except BaseException:
        # It was not there before; bundle.toml is the old one still.
        if place.read_bytes() == old.encode():
            file.unlink(missing_ok=True)
        raise
