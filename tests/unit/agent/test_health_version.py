"""Versions of kernel and drivers, against the bounds of a profile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.version import misfit, numbers
from agent.health.view import VersionFacts

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("found", "least", "most", "fits"),
    [
        ("6.1.0-18-arm64", "5.10", "", True),
        ("5.10", "5.10", "", True),
        ("5.9.16", "5.10", "", False),
        ("4.9.337-tegra", "", "4.9", True),
        ("4.10.1", "", "4.9", False),
        ("v0.9.6", "0.9.7", "", False),
        ("0.9", "0.9.0", "", False),
        ("?", "1.0", "", True),
    ],
)
def test_versions_are_compared_as_far_as_the_bound_is_named(
    found: str, least: str, most: str, fits: bool
) -> None:
    assert (misfit(VersionFacts(found=found, least=least, most=most)) == "") is fits


@given(st.text(max_size=30))
def test_any_text_is_a_version_or_none(text: str) -> None:
    assert isinstance(numbers(text), tuple)
    assert isinstance(misfit(VersionFacts(found=text, least="1.2", most="3")), str)
