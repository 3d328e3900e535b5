"""What is written as TOML is read back as what was meant, and comments stay comments."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.authoring.toml_text import comment, inline, several, text

pytestmark = pytest.mark.unit

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.one_of(TEXT, st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_comes_back(value: Any) -> None:
    assert tomllib.loads(f"a = {inline(value)}")["a"] == value


@given(TEXT)
def test_any_text_comes_back(value: str) -> None:
    assert tomllib.loads(f"a = {text(value)}")["a"] == value


@given(TEXT)
def test_a_comment_holds_nothing_but_comments(value: str) -> None:
    assert tomllib.loads(comment(value)) == {}


def test_one_table_is_a_line_and_several_are_lines() -> None:
    assert several("a", ({"b": 1},)) == "a = [{ b = 1 }]\n"
    assert tomllib.loads(several("a", ({"b": 1}, {"b": 2})))["a"] == [{"b": 1}, {"b": 2}]
