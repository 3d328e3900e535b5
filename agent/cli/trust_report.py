"""What ``edgeward trust`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agent.cli.paint import aligned

if TYPE_CHECKING:
    from agent.trust.store import Key, Plan
    from runtime.bundle.floors import Floor

# What is true of a running agent (``agent.trust.device``, ``agent.workers.pipeline``).
NOTICE_ADDED = "A running agent takes notice by itself: a pipeline that was refused is tried again at once."
NOTICE_CHANGED = (
    "A running agent takes notice by itself: what the key may sign no more is stopped and refused."
)
NOTICE_REMOVED = "A running agent takes notice by itself: what only this key signed is stopped and refused."
_NOTICES = {"key added": NOTICE_ADDED, "key changed": NOTICE_CHANGED, "key removed": NOTICE_REMOVED}


def keys_document(
    folder: Path, keys: Sequence[Key], named: Sequence[Key], ignored: Sequence[str]
) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "folder": str(folder),
        "keys": msgspec.to_builtins(keys),
        "release_keys": msgspec.to_builtins(named),
        "ignored": list(ignored),
    }


def keys_table(folder: Path, keys: Sequence[Key], named: Sequence[Key]) -> str:
    """One line a key: those of the folder, then those that the configuration names."""
    if not keys and not named:
        return f"no key is trusted: {folder} holds none\n"
    rows: list[tuple[str, ...]] = [("NAME", "ROLE", "STATE", "BUNDLES", "CURVE", "FINGERPRINT")]
    rows += [_row(key, key.name) for key in keys] + [_row(key, key.file) for key in named]
    return aligned(rows)


def _row(key: Key, name: str) -> tuple[str, ...]:
    names = ",".join(key.names) if key.role == "release" else "-"
    return name, key.role, key.state, names, key.curve, key.fingerprint


def plan_text(folder: Path, plan: Plan) -> str:
    """What is about to happen, for the one who is to confirm it."""
    return f"{folder}: {plan.what}:\n{keys_table(folder, [plan.key], [])}{_promoted(plan)}".rstrip()


def plan_done(plan: Plan) -> str:
    """What has happened, and what a running agent makes of it."""
    notice = _NOTICES[plan.what]
    return f"{plan.what}: {plan.key.name} ({plan.key.fingerprint})\n{_promoted(plan)}{notice}\n"


def plan_document(folder: Path, plan: Plan, affected: Sequence[str]) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "folder": str(folder),
        "changed": plan.what,
        "key": msgspec.to_builtins(plan.key),
        "before": msgspec.to_builtins(plan.before),
        "after": msgspec.to_builtins(plan.after),
        "refused_bundles": list(affected),
    }


def _promoted(plan: Plan) -> str:
    """Keys that become active because the one before them goes."""
    before = {key.name: key for key in plan.before}
    found = [key for key in plan.after if key.name in before and before[key.name].state != key.state]
    return "".join(f"{key.name} becomes {key.state}\n" for key in found if key.name != plan.key.name)


def floors_document(path: Path, floors: Mapping[str, Floor]) -> dict[str, Any]:
    """For ``--json``."""
    return {"file": str(path), "floors": msgspec.to_builtins(dict(floors))}


def floors_table(path: Path, floors: Mapping[str, Floor]) -> str:
    """One line a bundle."""
    if not floors:
        return f"no floors yet: {path} holds none\n"
    rows = [("BUNDLE", "RELEASE", "DIGEST")]
    rows += [(name, str(floor.counter), floor.digest or "any") for name, floor in sorted(floors.items())]
    return aligned(rows)
