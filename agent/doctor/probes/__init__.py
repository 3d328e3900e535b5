"""Finds the probes: every module of this package is one. Adding a probe is adding a file.

A probe module has ``MEANING``, one line for the reference page; ``NEEDS``, the probes without which it makes
no sense; ``AFTER``, those that it only waits for; ``TIMEOUT_S`` for all of it; ``HEAVY`` when it loads the
machine, so that it runs alone; and ``probe(site)``, a coroutine or a plain function (which then runs in a
thread). Its id is the module's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agent.doctor.finding import Finding
from agent.doctor.site import Site

USUAL_S = 20.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One found probe."""

    id: str
    meaning: str
    needs: tuple[str, ...]
    after: tuple[str, ...]
    timeout_s: float
    heavy: bool
    run: Callable[[Site], Sequence[Finding] | Awaitable[Sequence[Finding]]]


def find_probes() -> tuple[Probe, ...]:
    """All probes, each after those that it needs."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    waiting = [_probe(name) for name in names]
    found: list[Probe] = []
    while waiting:
        ready = [probe for probe in waiting if {item.id for item in found} >= {*probe.needs, *probe.after}]
        assert ready, f"these need each other: {[probe.id for probe in waiting]}"  # noqa: S101 - a defect
        found += ready
        waiting = [probe for probe in waiting if probe not in ready]
    return tuple(found)


def wanted(probes: Sequence[Probe], ids: Sequence[str]) -> list[Probe]:
    """Those of ``probes`` that are asked for, and those that they need."""
    by_id = {probe.id: probe for probe in probes}
    chosen, to_add = set(), list(ids)
    while to_add:
        name = to_add.pop()
        if name not in chosen:
            chosen.add(name)
            to_add += by_id[name].needs
    return [probe for probe in probes if probe.id in chosen]


def _probe(name: str) -> Probe:
    module = importlib.import_module(f"{__name__}.{name}")
    return Probe(
        id=name.replace("_", "-"),
        meaning=module.MEANING,
        needs=tuple(getattr(module, "NEEDS", ())),
        after=tuple(getattr(module, "AFTER", ())),
        timeout_s=getattr(module, "TIMEOUT_S", USUAL_S),
        heavy=getattr(module, "HEAVY", False),
        run=module.probe,
    )
