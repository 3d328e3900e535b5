"""Are the stored bundles still what was verified?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the files of stored bundles are as they were when they were verified"


def check(view: View) -> Iterable[Finding]:
    """Critical for a stored bundle that has changed: a worker will refuse to load it."""
    if view.store_faults is None:
        return
    for digest, fault in view.store_faults.items():
        yield Finding(
            subject=digest[:12],
            severity="critical",
            text=fault,
            code="bundle.changed",
            remedy="restart its pipeline, which stores the bundle anew; if it happens again, test the disk",
        )
    if not view.store_faults:
        yield Finding(severity="ok", text="unchanged")
