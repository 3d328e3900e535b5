"""Is there room for bundles and state, and does the disk answer at all?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.threshold import Floor
from agent.health.view import Finding, View

MEANING = "the disk of the state folder answers, takes writes and has room"
FREE_MB = Floor(warning=500, critical=100)
_FULL = "system.disk-full"


def check(view: View) -> Iterable[Finding]:
    """Warning below 500 MB free, critical below 100 MB; one that hangs or takes no write is critical."""
    if not view.disk_answers:
        yield Finding(
            severity="critical",
            text=f"the disk of {view.state_dir} does not answer",
            code="system.timeout",
            remedy="look into 'dmesg' for errors of the disk; a flash card that does this is to be replaced",
        )
    elif view.disk_free_mb is None:
        return
    elif not view.disk_total_mb:
        yield Finding(
            severity="critical",
            text=f"the free space of {view.state_dir} cannot be read",
            code="system.io",
            remedy="check device.state_dir and the disk",
        )
    elif view.disk_read_only:
        yield Finding(
            severity="critical",
            text=f"{view.state_dir} lies on a file system that is read-only",
            code="system.io",
            remedy="'dmesg' says why the kernel made it so; then 'mount -o remount,rw', or another disk",
        )
    elif view.disk_fault:
        yield Finding(
            severity="critical",
            text=f"{view.state_dir} does not take a write: {view.disk_fault}",
            code="system.io",
            remedy="let the agent's user write there; else look into 'dmesg' for errors of the disk",
        )
    else:
        yield _room(view, view.disk_free_mb)


def _room(view: View, free_mb: int) -> Finding:
    severity = FREE_MB.judge(free_mb, view.before("disk_space", code=_FULL))
    if severity == "ok":
        return Finding(severity="ok", text=f"over {FREE_MB.warning:g} MB free in {view.state_dir}")
    limit = FREE_MB.limit(severity)
    return Finding(
        severity=severity,
        text=f"under {limit:g} MB free in {view.state_dir}",
        code=_FULL,
        remedy=f"remove what is not needed: 'du -xh {view.state_dir} | sort -h | tail' shows what is large",
    )
