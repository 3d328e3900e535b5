"""Numbers of options: what is out of range is refused in words."""

from __future__ import annotations

import argparse
from typing import Any


def number(text: str, kind: type[int] | type[float], lowest: float, highest: float, what: str) -> Any:
    """A number of an option, ``what`` in the words of its error."""
    try:
        value = kind(text)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def lines(text: str) -> int:
    """How many of something to show; none is a number too."""
    return int(number(text, int, 0, 1_000_000, "a number of lines, 0 or more"))


def wait(text: str) -> float:
    """Seconds to wait for something; 0 does not wait."""
    return float(number(text, float, 0, 3600, "a number of seconds between 0 and 3600"))


def long_wait(text: str) -> float:
    """Seconds to wait for something that is always waited for."""
    return float(number(text, float, 1, 3600, "a number of seconds between 1 and 3600"))


def interval(text: str) -> float:
    """Seconds between two looks."""
    return float(number(text, float, 0.1, 60, "a number of seconds between 0.1 and 60"))


def width(text: str) -> int:
    """Pixels."""
    return int(number(text, int, 16, 16_384, "a number of pixels between 16 and 16384"))
