"""``edgeward profile``: which board this is, and what is known of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from agent.cli import output, profile_report
from agent.device import library as library_of
from agent.device.board import look
from agent.device.detect import detect_board
from agent.device.library import Library

EPILOG = """\
examples:
  edgeward profile detect
  edgeward profile show rk3588
  edgeward profile list --json

A profile is a TOML file of public facts about a board. Those of the site lie in /etc/edgeward/profiles.d and
replace or extend the ones that come with edgeward: docs/guide/boards.md.
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "profile",
        help="which board this is, and what is known of it",
        description="Tell which board this is, and what is known of it: cores, decoders, accelerators.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    detect = _add_action(
        actions, "detect", "tell which profile fits this board, and by what it is known", "detect"
    )
    detect.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        default=Path("/"),
        help="look at the /proc, /sys and /dev in this folder instead: a copy of another board's",
    )
    detect.set_defaults(handler=handle_detect)
    show = _add_action(actions, "show", "print what a profile says, and where it is from", "show rpi5")
    show.add_argument(
        "name", metavar="NAME", nargs="?", default="", help="a profile; without it, the one that fits"
    )
    show.set_defaults(handler=handle_show)
    every = _add_action(actions, "list", "list all profiles", "list")
    every.set_defaults(handler=handle_list)


def _add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=summary,
        allow_abbrev=False,
        description=summary[:1].upper() + summary[1:] + ".",
        epilog=f"example:\n  edgeward profile {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--profiles-dir",
        metavar="DIR",
        type=Path,
        default=library_of.SITE,
        help=f"folder of the site's own profiles (default: {library_of.SITE})",
    )
    output.add_json_option(parser)
    return parser


def handle_detect(options: argparse.Namespace) -> int:
    """Look at the board."""
    library = Library(options.profiles_dir)
    board = look(options.root)
    found = detect_board(board, library)
    profile = library.get(found.name)
    if options.json:
        output.print_document(
            {
                "profile": found.name,
                "title": profile.title,
                "evidence": found.evidence,
                "warning": found.warning,
                "board": {
                    "machine": board.machine,
                    "model": board.model,
                    "vendor": board.vendor,
                    "product": board.product,
                    "compatible": list(board.compatible),
                    "cores": list(board.cores),
                },
            }
        )
        return 0
    sys.stdout.write(f"{found.name}: {profile.title}\n")
    sys.stdout.write(f"board     {output.plain(board.title)}\n")
    sys.stdout.write(f"known by  {output.plain(found.evidence)}\n")
    if found.warning:
        output.warn(output.plain(found.warning))
    return 0


def handle_show(options: argparse.Namespace) -> int:
    """Print one profile."""
    library = Library(options.profiles_dir)
    name = options.name or detect_board(look(), library).name
    profile = library.get(name, where="NAME" if options.name else "")
    if options.json:
        document: dict[str, Any] = msgspec.to_builtins(profile)
        output.print_document({"file": str(library.file(name)), **document})
        return 0
    for line in profile_report.lines(profile, library.file(name)):
        sys.stdout.write(output.plain(line) + "\n")
    return 0


def handle_list(options: argparse.Namespace) -> int:
    """Print their names."""
    library = Library(options.profiles_dir)
    if options.json:
        profiles = [
            {
                "name": profile.name,
                "title": profile.title,
                "arch": profile.arch,
                "of_site": library.is_of_site(profile.name),
                "file": str(library.file(profile.name)),
            }
            for profile in library.all()
        ]
        output.print_document({"profiles": profiles})
        return 0
    for profile in library.all():
        site = "  (of this site)" if library.is_of_site(profile.name) else ""
        sys.stdout.write(output.plain(f"{profile.name:<18} {profile.title}{site}") + "\n")
    return 0
