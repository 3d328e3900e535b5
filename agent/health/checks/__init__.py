"""Finds the checks: every module of this package is one. Adding a check is adding a file.

A check module has ``MEANING``, one line for the reference page, and ``check(view)``. Its id is the name
of the module.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.health.view import Finding, View


@dataclass(frozen=True, slots=True)
class Check:
    """One found check."""

    id: str
    meaning: str
    run: Callable[[View], Iterable[Finding]]


def find_checks() -> tuple[Check, ...]:
    """All checks, by id."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return tuple(Check(name, module.MEANING, module.check) for name, module in modules.items())
