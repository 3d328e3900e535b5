"""One logged line, without secrets, as all that shows or keeps it takes it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from agent.redact import Redactor

# The journal cuts lines at 48 KiB; nobody reads one that long.
MAX_TEXT = 8 << 10
_formatter = logging.Formatter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was logged. ``seq`` counts from 1; ``time_ms`` is wall time since 1970, ``pipeline`` may be empty.

    ``text`` is one line; ``exception`` holds the lines of a traceback, or nothing.
    """

    seq: int
    time_ms: int
    level: int
    part: str
    pipeline: str
    text: str
    exception: str = ""

    @property
    def level_name(self) -> str:
        """``DEBUG``, ``INFO``, ``WARNING``, ``ERROR`` or ``CRITICAL``."""
        return logging.getLevelName(self.level)

    @property
    def one_line(self) -> str:
        """Text and traceback in one line: a line break could be taken for a new entry."""
        parts = [self.text, *(line.strip() for line in self.exception.splitlines())]
        return " | ".join(part for part in parts if part)


def template_of(record: logging.LogRecord) -> str:
    """What was to be formatted; never raises for an object that cannot be shown."""
    try:
        return str(record.msg)
    except Exception as error:
        return f"a {type(record.msg).__name__} (cannot be shown: {type(error).__name__})"


def line_of(record: logging.LogRecord, seq: int, redactor: Redactor) -> Line:
    """``record`` without secrets, control characters and line breaks; never raises for a bad record."""
    try:
        text = record.getMessage()
    except Exception as error:
        text = f"{template_of(record)} (cannot be formatted: {type(error).__name__})"
    flat = " | ".join(part.strip() for part in text.splitlines() if part.strip())
    exception = _formatter.formatException(record.exc_info) if record.exc_info else ""
    return Line(
        seq=seq,
        time_ms=int(record.created * 1000),
        level=record.levelno,
        part=record.name,
        pipeline=str(getattr(record, "pipeline", "")),
        # Cut after the secrets are out: half of one would not be known for what it is.
        text=_printable(_cut(redactor(flat))),
        exception="\n".join(_printable(part) for part in _cut_front(redactor(exception)).splitlines()),
    )


def note(text: str, seq: int, *, level: int = logging.WARNING) -> Line:
    """A line of the log about itself."""
    return Line(seq=seq, time_ms=time.time_ns() // 1_000_000, level=level, part="log", pipeline="", text=text)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ..."


def _cut_front(text: str) -> str:
    """Of a traceback the end says most."""
    return text if len(text) <= MAX_TEXT else f"... {text[-MAX_TEXT:]}"


def _printable(text: str) -> str:
    """Without what a terminal would obey: a log shows what strangers sent."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)
