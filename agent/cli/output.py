"""What every command shares about printing: one JSON document, or plain lines; errors on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from runtime.errors import EdgewardError


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """``--json`` for a command: one JSON document on stdout instead of text."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def print_document(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_error(error: EdgewardError, *, as_json: bool) -> None:
    """One line on stderr: text, or ``{"error": {...}}`` with ``--json``."""
    if as_json:
        sys.stderr.write(json.dumps({"error": error.as_dict()}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"edgeward: {error}\n")


def progress(text: str) -> None:
    """A line of progress on stderr, so that stdout stays for results."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
