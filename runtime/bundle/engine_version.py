"""Which versions of an engine may run a variant: ``>=1.17,<2``.

A small form of PEP 440's version specifiers, on the numbers alone: engines' own version texts
(``2026.4.0-21200-abc``, ``10.13.3.9``) are not all of that standard, and the agent reads manifests too.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

_CLAUSE = re.compile(r"(>=|<=|==|!=|>|<)((?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){0,4})\Z")
_NUMBERS = re.compile(r"(?:^|\s)v?([0-9]+(?:\.[0-9]+)*)")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_MAX = 100
_PARTS = 8


def _numbers(text: str) -> tuple[int, ...]:
    """Padded with zeros, so that 2 is 2.0.0."""
    parts = [int(part[:18]) for part in text.split(".")[:_PARTS]]
    return (*parts, *[0] * (_PARTS - len(parts)))


def _clauses(wanted: str) -> list[tuple[str, tuple[int, ...]]]:
    found = []
    for text in wanted.split(","):
        match = _CLAUSE.match(text.strip(" "))
        if match is None or len(wanted) > _MAX:
            message = f"{text[:40]!r} is no condition on a version"
            raise ValueError(message)
        found.append((match[1], _numbers(match[2])))
    return found


def check(wanted: str) -> None:
    """Refuse what is not a list of conditions.

    Raises:
        ValueError: says which part is none.
    """
    _clauses(wanted)


def fits(wanted: str, version: str) -> bool:
    """Whether an engine of ``version`` fulfils every condition; one that gives no version does not.

    What precedes the numbers (``ai-edge-litert 2.3.0``) and follows them (``rc1``, ``-dev``) does not count.

    Raises:
        ValueError: ``wanted`` is not a list of conditions.
    """
    clauses = _clauses(wanted)
    match = _NUMBERS.search(version)
    if match is None:
        return False
    numbers = _numbers(match[1])
    return all(_COMPARE[comparison](numbers, bound) for comparison, bound in clauses)
