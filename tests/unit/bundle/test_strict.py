"""Parsed data into structs: the wrong key is named, and what would be right."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from runtime.bundle.strict import Mismatch, convert, parse_json

pytestmark = pytest.mark.unit


class Cat(msgspec.Struct, tag="cat", tag_field="kind", forbid_unknown_fields=True):
    lives: Annotated[int, msgspec.Meta(ge=1)] = 9


class Dog(msgspec.Struct, tag="dog", tag_field="kind", forbid_unknown_fields=True):
    tricks: tuple[str, ...]


class House(msgspec.Struct, forbid_unknown_fields=True):
    pets: tuple[Cat | Dog, ...]
    size: float | None = None
    colour: Literal["red", "blue"] = "red"


def test_what_fits_is_converted() -> None:
    house = convert({"pets": [{"kind": "dog", "tricks": ["sit"]}, {"kind": "cat"}], "size": 3}, House)
    assert house == House((Dog(("sit",)), Cat()), 3.0, "red")


@pytest.mark.parametrize(
    ("raw", "key", "what", "remedy"),
    [
        ({"pets": [{"kind": "cow"}]}, "pets[0].kind", "'cow' is not known", "use one of: cat, dog"),
        ({"pets": [{"kind": "dogg"}]}, "pets[0].kind", "'dogg' is not known", "did you mean 'dog'?"),
        ({"pets": [{"kind": ["cat"]}]}, "pets[0].kind", "is not known", "did you mean 'cat'?"),
        ({"pets": [{}]}, "pets[0].kind", "missing", "add one of: cat, dog"),
        ({"pets": [{"kind": "dog"}]}, "pets[0].tricks", "missing", "add a list of text"),
        (
            {"pets": [{"kind": "cat", "tricks": []}]},
            "pets[0].tricks",
            "unknown key",
            "use one of: kind, lives",
        ),
        ({"pets": [{"kind": "cat", "lives": 0}]}, "pets[0].lives", "expected int >= 1", "use a whole number"),
        (
            {"pets": [{"kind": "cat", "lives": True}]},
            "pets[0].lives",
            "expected int, got bool",
            "whole number",
        ),
        ({"pets": {}}, "pets", "expected array, got object", "use a list"),
        ({"pets": [], "size": "big"}, "size", "got str", "use a number or nothing"),
        ({"pets": [], "colour": "rad"}, "colour", "'rad' is not known", "did you mean 'red'?"),
        ({"pets": [], "colour": "x" * 999}, "colour", "xxx... is not known", "use one of: blue, red"),
        ({"pets": [], 1: 2}, "1", "unknown key", "use one of"),
        ([], "", "expected object, got array", "a table with pets, size, colour"),
    ],
)
def test_a_mismatch_names_key_fault_and_remedy(raw: Any, key: str, what: str, remedy: str) -> None:
    with pytest.raises(Mismatch) as caught:
        convert(raw, House)
    assert caught.value.key == key
    assert what in caught.value.what
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"a":2}}]',
        b"NaN",
        b"-Infinity",
        b"\xff",
        b"",
        b"1 2",
        b'"\\ud800"',
        b'{"\\uDFFF":1}',
        b'["\\ude00\\ud83d"]',
    ],
)
def test_the_loopholes_of_json_are_closed(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(data)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]


@pytest.mark.timeout(60)
def test_a_doubled_key_among_very_many_is_found_in_one_pass() -> None:
    data = b"{" + b"".join(b'"%x":0,' % number for number in range(200_000)) + b'"30d3f":1}'
    with pytest.raises(ValueError, match="'30d3f' stands twice"):
        parse_json(data)


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json(b"[" * 200_000 + b"]" * 200_000)
