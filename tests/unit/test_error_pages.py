"""The reference pages on errors and exit statuses say what the code says."""

from __future__ import annotations

import re

import pytest

from runtime.errors import EXIT_MEANING, Code, EdgewardError, ExitStatus
from tests.conftest import ROOT

pytestmark = pytest.mark.unit


def rows(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / "ref" / page).read_text()
    found = re.findall(r"^\| (?!---)(.+) \|$", text, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row.split(" | ")] for row in found][1:]


def test_every_exit_status_is_documented_with_its_meaning() -> None:
    assert rows("exit-codes.md") == [[str(int(status)), EXIT_MEANING[status]] for status in ExitStatus]


def test_every_error_code_is_documented_with_its_exit_status_and_meaning() -> None:
    assert rows("errors.md") == [[code.text, str(int(code.exit_status)), code.meaning] for code in Code]


def test_codes_and_names_belong_together_and_none_is_used_twice() -> None:
    assert len({code.text for code in Code}) == len(Code)
    for code in Code:
        assert Code.of(code.text) is code
        assert code.text.replace(".", "_").replace("-", "_").upper() == code.name


def test_a_code_of_a_newer_version_is_not_a_crash() -> None:
    assert Code.of("something.new") is Code.INTERNAL


def test_an_error_reads_as_where_what_and_what_to_do() -> None:
    error = EdgewardError(Code.SOURCE_MISSING, "no such file", where="a.mp4", remedy="check the path")
    assert str(error) == "a.mp4: no such file; check the path [source.missing]"
