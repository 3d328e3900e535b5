"""Colours on a terminal, and what a screen of text is made of: columns, wrapped lines, amounts in words."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, TextIO

from agent.cli.output import plain

NARROWEST = 80
WIDEST = 120

Tone = Literal["good", "warn", "bad", "dim", "bold", "none"]
_SIGNS: dict[Tone, str] = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1", "none": ""}

# How the states of a device, a check, a pipeline and a stream are meant.
TONES: dict[str, Tone] = {
    "ok": "good",
    "running": "good",
    "degraded": "warn",
    "warning": "warn",
    "verifying": "warn",
    "preflight": "warn",
    "starting": "warn",
    "backoff": "bad",
    "stalled": "bad",
    "failed": "bad",
    "critical": "bad",
    "quarantined": "bad",
    "stopped": "dim",
    "ended": "dim",
}


class Paint:
    """Puts text in colour, or leaves it."""

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, tone: Tone) -> str:
        """``text`` in that tone."""
        sign = _SIGNS[tone]
        return f"\x1b[{sign}m{text}\x1b[0m" if self._on and sign and text else text

    def state(self, state: str, width: int = 0) -> str:
        """A state in its colour, filled up to ``width``."""
        return self(plain(state).ljust(width), TONES.get(state, "none"))


def paint_for(stream: TextIO) -> Paint:
    """Colours where ``stream`` is a terminal that knows them and nobody asked for none."""
    wanted = "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
    return Paint(on=wanted and stream.isatty())


def width_of_screen() -> int:
    """Columns to fill: those of the terminal within reason, 80 at least."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def fit(text: str, width: int) -> str:
    """``text`` as one printable line, cut with an ellipsis where it is longer than ``width``."""
    line = plain(text)
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def wrapped(text: str, width: int, first: str, after: str = "") -> Iterator[str]:
    """``text`` in lines of ``width`` at most: the first begins with ``first``, the others with ``after``."""
    yield from textwrap.wrap(
        plain(text), width, initial_indent=first, subsequent_indent=after or " " * len(first)
    )


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``5 h 20 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 24:
        return f"{hours} h {minutes % 60} min"
    days = hours // 24
    return f"{days} d {hours % 24} h" if days < 100 else f"{days} d"


def megabytes(amount: float) -> str:
    """``940 MB`` or ``12.4 GB``, of 1048576 bytes."""
    return f"{amount:.0f} MB" if amount < 1024 else f"{amount / 1024:.1f} GB"


def moment(milliseconds: int) -> str:
    """A time since 1970 as that of this machine's clock: ``2026-11-21 09:12:00``."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
