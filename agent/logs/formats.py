"""How a line looks: plain, as JSON for the journal, or in colours on a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping

import msgspec

from agent.log_settings import LogFormat
from agent.logs.line import Line

Format = Callable[[Line], str]

# sd-daemon(3): a line that begins with <N> has that priority in the journal.
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_COLOUR = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
_json = msgspec.json.Encoder()


def choose(wanted: LogFormat, fd: int, environment: Mapping[str, str] = os.environ) -> Format:
    """The form for what ``fd`` is: a terminal, the journal, or anything else."""
    journal = is_journal(fd, environment)
    if wanted == "auto":
        wanted = "json" if journal else "pretty" if _is_terminal(fd) else "text"
    if wanted == "json":
        return as_journal_json if journal else as_json
    if wanted == "pretty":
        plain = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb" or not _is_terminal(fd)
        return as_pretty if plain else as_coloured
    return as_text


def is_journal(fd: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether ``fd`` is the very stream that systemd connected to the journal (``$JOURNAL_STREAM``)."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    with contextlib.suppress(OSError, ValueError):
        status = os.fstat(fd)
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    return False


def as_text(line: Line) -> str:
    """``2026-01-31T12:00:00.000Z WARNING link: text``."""
    return f"{_utc(line.time_ms)} {line.level_name} {line.part}: {line.one_line}"


def as_json(line: Line) -> str:
    """One object: ``ts``, ``level``, ``part``, ``text``, and ``pipeline`` and ``exception`` if there are."""
    fields = {"ts": _utc(line.time_ms), "level": line.level_name, "part": line.part, "text": line.text}
    if line.pipeline:
        fields["pipeline"] = line.pipeline
    if line.exception:
        fields["exception"] = line.exception
    return _json.encode(fields).decode()


def as_journal_json(line: Line) -> str:
    """As ``as_json``, after the priority that the journal takes off the line: for ``journalctl -p``."""
    return f"<{_PRIORITY.get(line.level, 6)}>{as_json(line)}"


def as_pretty(line: Line) -> str:
    """``12:00:00.000 WARNING link      text``, in local time, with a traceback below it."""
    return _pretty(line, "{}")


def as_coloured(line: Line) -> str:
    """As ``as_pretty``, in the colour of its level."""
    colour = _COLOUR.get(line.level)
    return _pretty(line, f"\x1b[{colour}m{{}}\x1b[0m" if colour else "{}")


def _pretty(line: Line, frame: str) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(line.time_ms / 1000))
    head = f"{at}.{line.time_ms % 1000:03d} {frame.format(f'{line.level_name:<8}')} {line.part:<9} "
    below = "".join(f"\n    {text}" for text in line.exception.splitlines())
    return f"{head}{frame.format(line.text)}{below}"


def _utc(time_ms: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time_ms / 1000))}.{time_ms % 1000:03d}Z"


def _is_terminal(fd: int) -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(fd)
    return False
