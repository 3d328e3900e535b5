"""Which way to run a model: what this device's profile prefers or forces, against what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions


def wanted(
    options: EngineOptions,
    here: Sequence[str],
    best: Sequence[str],
    short: Callable[[str], str] = str.lower,
    *,
    where: str,
) -> list[str]:
    """The ways to try, in their order, of those that are here.

    Args:
        options: ``provider`` is the only one; else ``providers`` is the order; else ``best`` is.
        here: what the engine has, by its own names.
        best: what it would take itself, best first.
        short: from an engine's name to the one that profiles use; either is understood, in any case.
        where: what is loaded, for errors.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` when nothing that is wanted is here.
    """
    asked = (options.provider,) if options.provider else options.providers
    if not asked:
        return list(best)
    known = {name.lower(): name for name in here} | {short(name): name for name in here}
    found = list(dict.fromkeys(known[name.lower()] for name in asked if name.lower() in known))
    if not found:
        raise unavailable(f"{', '.join(asked)}: not here", [short(name) for name in here], where=where)
    return found


def unavailable(reasons: str, here: Sequence[str], *, where: str) -> EdgewardError:
    """``ENGINE_UNAVAILABLE`` with what there is instead."""
    return EdgewardError(
        Code.ENGINE_UNAVAILABLE,
        f"cannot run on {reasons}; here are: {', '.join(here)}",
        where=where,
        remedy="install what is missing, or change the providers in the device's profile or configuration",
    )
