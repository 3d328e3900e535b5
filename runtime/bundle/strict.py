"""Turns parsed JSON or TOML into structs, and says exactly which key is wrong and what would be right."""

from __future__ import annotations

import difflib
import functools
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

T = TypeVar("T")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<key>.*)`)?\Z", re.DOTALL)


class Mismatch(Exception):  # noqa: N818 - it becomes an EdgewardError with the caller's code and file
    """A value does not fit: ``key`` as a path (``variant[0].file``), ``what`` is wrong, ``remedy``."""

    def __init__(self, key: str, what: str, remedy: str) -> None:
        self.key, self.what, self.remedy = key, what, remedy
        super().__init__(f"{key}: {what}; {remedy}")


class DoubledKeyError(ValueError):
    """A key stands twice in one JSON object: two readers may see two things in it."""


def parse_json(data: bytes) -> Any:
    """JSON without its loopholes: no key twice in one object, no NaN, no Infinity, no half characters.

    Raises:
        ValueError: with a text that says what is wrong; ``DoubledKeyError`` for a key that stands twice.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                raise DoubledKeyError(f"the key {_short(key)} stands twice")
            found[key] = value
        return found

    def constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is not a number of JSON")

    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
        if _SURROGATE.search(data):
            # Written again it is text only when each escaped surrogate was one half of a pair.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except UnicodeEncodeError as error:
        raise ValueError("it has one half of a surrogate pair, which is no character") from error
    return document


def convert(raw: Any, kind: type[T]) -> T:
    """``raw`` as a ``kind``, with no unknown key, no missing key and no value of another type.

    Raises:
        Mismatch: the first key that does not fit.
    """
    _check_integers(raw)
    _check_keys(raw, kind, "")
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _explain(str(error), raw, kind) from None


def _join(key: str, name: str) -> str:
    # A key comes from a file that a stranger may have written: nothing of it may steer a terminal.
    name = name if name.isprintable() and len(name) <= 80 else _short(name)
    return f"{key}.{name}" if key else name


def _check_integers(raw: Any) -> None:
    """TOML has whole numbers of any length in hexadecimal; nothing later on holds them, nor prints them."""
    containers = [("", raw)] if isinstance(raw, dict | list) else []
    while containers:
        key, container = containers.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for name, value in items:
            if isinstance(value, dict | list):
                containers.append((_at(container, key, name), value))
            elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
                what = "a whole number of more than 64 bits"
                raise Mismatch(_at(container, key, name), what, "use a smaller one")


def _at(container: Any, key: str, name: object) -> str:
    return _join(key, str(name)) if isinstance(container, dict) else f"{key}[{name}]"


def close_match(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` or the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(names)}"


def _parts(kind: Any) -> Iterator[Any]:
    """``kind`` without ``Annotated`` and ``| None``."""
    if hasattr(kind, "__metadata__"):
        yield from _parts(kind.__origin__)
    elif isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        for part in typing.get_args(kind):
            yield from _parts(part)
    else:
        yield kind


def _items(kind: Any, index: int) -> Any:
    """The type of a tuple's or list's item."""
    arguments = typing.get_args(kind)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return arguments[0]
    return arguments[index] if index < len(arguments) else Any


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@functools.cache
def keys_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Every key of a struct with its type and whether it is required; its tag is one of them."""
    hints = typing.get_type_hints(kind, include_extras=True)
    keys = {field.encode_name: (hints[field.name], field.required) for field in msgspec.structs.fields(kind)}
    config = kind.__struct_config__
    if config.tag is not None:
        keys = {config.tag_field: (typing.Literal[config.tag], True)} | keys
    return keys


def _candidates(raw: Any, kind: Any, key: str) -> list[Any]:
    """The parts of ``kind`` that ``raw`` is to be measured by: of several structs, the one it names."""
    parts = list(_parts(kind))
    structs = [part for part in parts if _is_struct(part)]
    if len(structs) < 2 or not isinstance(raw, dict):
        return parts
    field = structs[0].__struct_config__.tag_field
    tags = {part.__struct_config__.tag: part for part in structs}
    if field not in raw:
        raise Mismatch(_join(key, field), "missing", f"add one of: {', '.join(sorted(tags))}")
    tag = raw[field]
    if not isinstance(tag, str) or tag not in tags:
        raise Mismatch(_join(key, field), f"{_short(tag)} is not known", close_match(str(tag), tags))
    return [tags[tag]]


def _check_keys(raw: Any, kind: Any, key: str) -> None:
    for part in _candidates(raw, kind, key):
        if _is_struct(part) and isinstance(raw, dict):
            known = keys_of(part)
            for name in raw:
                if name not in known:
                    raise Mismatch(_join(key, str(name)), "unknown key", close_match(str(name), known))
            for name, (_, required) in known.items():
                if required and name not in raw:
                    raise Mismatch(_join(key, name), "missing", f"add {_wanted(known[name][0])}")
            for name, value in raw.items():
                _check_keys(value, known[name][0], _join(key, name))
        elif typing.get_origin(part) in {tuple, list} and isinstance(raw, list):
            for index, value in enumerate(raw):
                _check_keys(value, _items(part, index), f"{key}[{index}]")


def _wanted_list(kind: Any) -> str:
    arguments = typing.get_args(kind)
    item = _wanted(arguments[0])
    plural = item.removeprefix("a ") + "s" if item in {"a number", "a whole number"} else item
    return f"a list of {plural}" if arguments[-1] is Ellipsis else f"{len(arguments)} {plural}"


def _wanted(kind: Any) -> str:
    """What a value of that type looks like, in words."""
    wanted = []
    parts = list(_parts(kind))
    if len(tagged := [part for part in parts if _is_struct(part)]) > 1:
        tags = ", ".join(sorted(str(part.__struct_config__.tag) for part in tagged))
        wanted.append(f"a table with {tagged[0].__struct_config__.tag_field}, one of: {tags}")
        parts = [part for part in parts if part not in tagged]
    for part in parts:
        if typing.get_origin(part) is typing.Literal:
            wanted += [repr(value) for value in typing.get_args(part)]
        elif typing.get_origin(part) in {tuple, list}:
            wanted.append(_wanted_list(part))
        elif typing.get_origin(part) is dict:
            wanted.append(f"a table of names and {_wanted(typing.get_args(part)[1])}")
        elif _is_struct(part):
            wanted.append("a table with " + ", ".join(keys_of(part)))
        else:
            names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
            wanted.append(names.get(part, "nothing" if part is type(None) else str(part)))
    return " or ".join(wanted)


def _find(raw: Any, kind: Any, key: str) -> tuple[Any, Any]:
    """The value at a key and its type."""
    for name in re.findall(r"[^.\[\]]+", key):
        for part in _candidates(raw, kind, key):
            if _is_struct(part) and isinstance(raw, dict) and name in raw:
                raw, kind = raw[name], keys_of(part)[name][0]
                break
            if typing.get_origin(part) in {tuple, list} and name.isdigit() and isinstance(raw, list):
                raw, kind = raw[int(name)], _items(part, int(name))
                break
    return raw, kind


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_PATTERN_WORDS = (
    (r"[a-z0-9][a-z0-9._-]", "lower-case letters, digits, '.', '_', '-', at most 64, like 'person-v2'"),
    (r"[a-z0-9*?][a-z0-9._*?-]", "letters of a bundle's name, '*' and '?', at most 64, like 'ppe-*'"),
    (r"(0|[1-9]", "a semantic version like '1.0.0'"),
    (r"[0-9a-f]{64}", "a SHA-256 in lower-case hexadecimal"),
)


def _explain(text: str, raw: Any, kind: Any) -> Mismatch:
    """An error of msgspec in the words of somebody who writes the file."""
    match = _AT.match(text)
    key = (match.group("key") if match else "") or ""
    value, wanted_kind = _find(raw, kind, key)
    if "matching regex" in text:
        words = next((words for start, words in _PATTERN_WORDS if start in text), "another form")
        return Mismatch(key, f"{_short(value)} does not fit", f"use {words}")
    if text.startswith(("Invalid enum value", "Invalid value")):
        choices = [str(choice) for part in _parts(wanted_kind) for choice in typing.get_args(part)]
        return Mismatch(key, f"{_short(value)} is not known", close_match(str(value), choices))
    what = (match.group("what") if match else text).replace("`", "")
    return Mismatch(key, what[:1].lower() + what[1:], f"use {_wanted(wanted_kind)}")
