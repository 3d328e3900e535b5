"""``edgeward bundle diff``: what is different between two bundles."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agent.cli import bundle_report, output
from runtime.errors import ExitStatus

if TYPE_CHECKING:
    from runtime.bundle.difference import Change
    from runtime.bundle.inspection import Inspected

EPILOG = """\
examples:
  edgeward bundle diff belt-1.0.0.ewb belt-1.1.0.ewb --key keys/release.pub
  edgeward bundle diff running.ewb new.ewb --key keys/release.pub --json

Ends with 0 when the two hold the same, whoever signed them, and with 15 when they are different. Without
--key nothing that is shown is proven.
"""
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "renamed": ">"}
_LONGEST = 72


def add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the action."""
    parser = actions.add_parser(
        "diff",
        help="show what is different between two bundles",
        allow_abbrev=False,
        description="Show what is different between two bundles: fields, files, variants, budgets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", metavar="A.ewb", type=Path, help="a bundle; with --key a folder too")
    parser.add_argument("new", metavar="B.ewb", type=Path, help="another one")
    parser.add_argument(
        "--key",
        dest="keys",
        action="append",
        default=[],
        type=Path,
        metavar="PUB",
        help="public key file of whoever may sign; without it nothing shown is proven",
    )
    output.add_json_option(parser)
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Compare; 0 or ``DIFFERENT``."""
    from runtime.bundle.difference import differences  # noqa: PLC0415 - for this command only
    from runtime.bundle.inspection import inspect_unverified, verify_any  # noqa: PLC0415 - the crypto library

    old, new = (
        verify_any(path, options.keys) if options.keys else inspect_unverified(path)
        for path in (options.old, options.new)
    )
    changes = differences(old.manifest, new.manifest)
    same = old.digest == new.digest
    if options.json:
        document: dict[str, Any] = {"same": same, "verified": bool(options.keys)}
        document |= {"a": _side(options.old, old), "b": _side(options.new, new)}
        output.print_document(document | {"changes": msgspec.to_builtins(changes)})
    else:
        sys.stdout.write(_text(options, old, new, changes, same=same))
    return int(ExitStatus.OK if same else ExitStatus.DIFFERENT)


def _side(path: Path, found: Inspected) -> dict[str, Any]:
    state = {"signature": found.signature, "claimed_signer": found.claimed_signer}
    return {"bundle": str(path)} | bundle_report.identity(found) | state


def _text(
    options: argparse.Namespace, old: Inspected, new: Inspected, changes: list[Change], *, same: bool
) -> str:
    lines = ""
    for sign, path, found in (("a", options.old, old), ("b", options.new, new)):
        manifest = found.manifest
        lines += f"{sign}  {path}: {manifest.name} {manifest.version} (release {manifest.release_counter})\n"
        lines += f"   digest {found.digest}\n   signature {bundle_report.signature(found)}\n"
    if same:
        return lines + "the same: every file and every field\n"
    for change in changes:
        lines += f"{_SIGNS[change.kind]} {change.key}{_values(change)}\n"
    if not changes:
        # Two ways to write one manifest: defaults that are written down, or the order of keys.
        lines += "the manifests say the same in other bytes\n"
    return lines


def _values(change: Change) -> str:
    if (
        change.key.startswith("variants.")
        and isinstance(one := change.new or change.old, dict)
        and "file" in one
    ):
        return f": {one['engine']}, {one['precision']}, {one['file']}"
    if change.key.startswith("files.") and change.kind != "renamed":
        return f": {' -> '.join(_file(entry) for entry in (change.old, change.new) if entry is not None)}"
    if change.kind == "renamed":
        return f" is now {change.new}, the same bytes"
    if change.kind == "changed":
        return f": {_short(change.old)} -> {_short(change.new)}"
    return f": {_short(change.new if change.kind == 'added' else change.old)}"


def _file(entry: dict[str, Any]) -> str:
    return f"{entry['role']} {bundle_report.size(entry['size'])} {entry['sha256'][:16]}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
