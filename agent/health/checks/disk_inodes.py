"""Can the file system still make files? One full of small files has space and takes no more."""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.threshold import Floor
from agent.health.view import Finding, View

MEANING = "the file system of the state folder can make files"
FREE_PERCENT = Floor(warning=5, critical=1)


def check(view: View) -> Iterable[Finding]:
    """Warning below 5 % of inodes free, critical below 1 %."""
    if view.inodes_free_percent is None or not view.disk_answers:
        return
    severity = FREE_PERCENT.judge(view.inodes_free_percent, view.before("disk_inodes"))
    if severity == "ok":
        yield Finding(severity="ok", text="enough inodes are free")
        return
    limit = FREE_PERCENT.limit(severity)
    yield Finding(
        severity=severity,
        text=f"under {limit:g} % of the inodes of {view.state_dir} are free",
        code="system.disk-full",
        remedy="remove small files: 'du --inodes -x / | sort -n | tail' shows where they are",
    )
