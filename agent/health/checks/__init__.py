"""Finds the checks: every module of this package is one. Adding a check is adding a file.

A check module has ``MEANING``, one line for the reference page, and ``check(view)``. Its id is the name of
the module. With ``AFTER_S`` what is worse than before is told only when it has held for so many seconds;
with ``TOLD_ELSEWHERE`` whoever notices it logs it, and health does not do so again.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.health.view import Finding, View

PAGE = "docs/ref/health.md"


@dataclass(frozen=True, slots=True)
class Check:
    """One found check."""

    id: str
    meaning: str
    run: Callable[[View], Iterable[Finding]]
    after_s: float = 0.0
    told_elsewhere: bool = False

    @property
    def docs(self) -> str:
        """Where it is explained."""
        return f"{PAGE}#{self.id}"


def find_checks() -> tuple[Check, ...]:
    """All checks, by id."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return tuple(
        Check(
            name,
            module.MEANING,
            module.check,
            getattr(module, "AFTER_S", 0.0),
            getattr(module, "TOLD_ELSEWHERE", False),
        )
        for name, module in modules.items()
    )
