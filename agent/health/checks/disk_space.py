"""Is there room for bundles and state?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the file system of the state folder has room"
WARN_MB = 500
CRITICAL_MB = 100


def check(view: View) -> Iterable[Finding]:
    """Warning below 500 MB free, critical below 100 MB."""
    if not view.disk_total_mb:
        yield Finding(
            severity="critical",
            text=f"the free space of {view.state_dir} cannot be read",
            code="system.io",
            remedy="check device.state_dir and the disk",
        )
    elif view.disk_free_mb >= WARN_MB:
        yield Finding(severity="ok", text=f"over {WARN_MB} MB free in {view.state_dir}")
    else:
        critical = view.disk_free_mb < CRITICAL_MB
        yield Finding(
            severity="critical" if critical else "warning",
            text=f"under {CRITICAL_MB if critical else WARN_MB} MB free in {view.state_dir}",
            code="system.disk-full",
            remedy="remove what is not needed on that file system",
        )
