"""What every command shares about printing: one JSON document, or plain lines; errors on stderr."""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
from contextlib import suppress
from typing import Any, TextIO

from runtime.errors import Code, EdgewardError, from_os_error


def prepare() -> None:
    """Make standard streams that can be written to, whatever the caller closed and whatever the locale."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It gets the lowest number that is free, which is the one that was closed: the next file that
            # is opened would get it otherwise, and take what is printed.
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name need not be text.
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Bring what was printed to where it goes, while an error can still be told.

    Raises:
        EdgewardError: ``SYSTEM_DISK_FULL``, ``SYSTEM_IO``.
        BrokenPipeError: the reader went away.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise from_os_error(error, where="standard output", fallback=Code.SYSTEM_IO) from error


def settle() -> None:
    """Forget what cannot be written: Python would complain of it when it ends, with a status of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(stream: TextIO, line: str) -> None:
    """A line that nobody need hear: that it cannot be written changes nothing."""
    with suppress(OSError):
        stream.write(line + "\n")
        stream.flush()


def plain(text: str) -> str:
    """What is quoted in ``text`` may hold line breaks and commands to the terminal: show them as they are."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """``--json`` for a command: one JSON document on stdout instead of text."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def print_document(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_error(error: EdgewardError, *, as_json: bool) -> None:
    """One line on stderr: text, or ``{"error": {...}}`` with ``--json``."""
    if as_json:
        _say(sys.stderr, json.dumps({"error": error.as_dict()}, ensure_ascii=False))
    else:
        _say(sys.stderr, f"edgeward: {plain(str(error))}")


def can_rewrite() -> bool:
    """Whether a line on stderr can be written anew in its place: a terminal, and one that knows how."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def rewrite(text: str = "") -> None:
    """Put ``text`` in the place of the last line on stderr, cut to the width of the terminal."""
    with suppress(OSError):
        sys.stderr.write(f"\r\x1b[K{plain(text)[: max(1, shutil.get_terminal_size().columns - 1)]}")
        sys.stderr.flush()


def progress(text: str) -> None:
    """A line of progress on stderr, so that stdout stays for results."""
    _say(sys.stderr, plain(text))


def warn(text: str) -> None:
    """A warning on stderr."""
    _say(sys.stderr, f"edgeward: warning: {text}")
