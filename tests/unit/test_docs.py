"""The pages lead somewhere, and the reference of the command line says what the commands say."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

import pytest

from agent.cli.main import build_parser
from runtime.bundle.pack import pack
from tests.conftest import ROOT

pytestmark = pytest.mark.unit

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
BUNDLES_PAGE = ROOT / "docs" / "guide" / "bundles.md"
DECODERS_PAGE = ROOT / "docs" / "ref" / "decoders.md"
CLI_PAGE = ROOT / "docs" / "ref" / "cli.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_page_is_found_from_the_readme() -> None:
    found, to_read = set(), [ROOT / "README.md"]
    while to_read:
        page = to_read.pop().resolve()
        if page in found:
            continue
        found.add(page)
        if page.is_dir():  # GitHub shows what lies in it
            to_read += page.glob("*.md")
        elif page.suffix == ".md":
            links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
            to_read += [page.parent / link for link in links if "://" not in link]
    lost = [str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page not in found]
    assert not lost


@pytest.mark.parametrize(
    "text", re.findall(r"```toml\n(\[bundle\].*?)```", BUNDLES_PAGE.read_text(), re.DOTALL)
)
def test_every_example_of_the_guide_to_bundles_can_be_packed(text: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.toml").write_text(text)
    labels = [f"thing {index}" for index in range(1001 if "imagenet" in text else 2)]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    (tmp_path / tomllib.loads(text)["variant"][0]["file"]).write_bytes(b"a model")
    assert pack(tmp_path, tmp_path / "out.ewb").variants


def test_the_guide_to_bundles_names_every_decoder() -> None:
    table = BUNDLES_PAGE.read_text().partition("## Which decoder for which model")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert set(re.findall(r"^## `(\w+)`", DECODERS_PAGE.read_text(), re.MULTILINE)) <= named


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
