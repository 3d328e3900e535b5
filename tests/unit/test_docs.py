"""The pages lead somewhere, and the reference of the command line says what the commands say."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pytest

from agent.cli.main import build_parser
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
CLI_PAGE = ROOT / "docs" / "ref" / "cli.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Every command that does something, in the order of the help."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found += commands(inner)
    return found or [parser]


def reference() -> str:
    """The whole page."""
    lines = [
        "# Commands",
        "",
        "Made from the command line itself by `python -m tests.unit.test_docs > docs/ref/cli.md`.",
        "Exit statuses are in [exit-codes.md](exit-codes.md), error codes in [errors.md](errors.md).",
    ]
    for command in commands(build_parser()):
        lines += ["", f"## {command.prog}", "", f"{command.description or ''}".strip(), ""]
        lines += ["| argument | meaning |", "| --- | --- |"]
        for action in command._actions:
            names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
            value = action.metavar or (
                action.dest.upper() if action.nargs != 0 and action.option_strings else ""
            )
            shown = (
                f"`{names} {value}`"
                if action.option_strings and value and action.nargs != 0
                else f"`{names}`"
            )
            if action.dest != "help":
                required = "; required" if action.required and action.option_strings else ""
                lines.append(f"| {shown} | {action.help}{required} |")
    return "\n".join(lines) + "\n"


def test_the_reference_names_every_command_and_every_option_with_its_meaning() -> None:
    assert CLI_PAGE.read_text() == reference(), "run: python -m tests.unit.test_docs > docs/ref/cli.md"


def test_every_command_says_what_it_is_and_gives_an_example() -> None:
    for command in commands(build_parser()):
        assert command.description, command.prog
        if command.prog != "edgeward version":
            assert "example" in (command.epilog or ""), command.prog


if __name__ == "__main__":
    sys.stdout.write(reference())
