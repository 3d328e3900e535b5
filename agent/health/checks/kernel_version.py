"""Is the kernel one that this board is known to work with?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.version import misfit
from agent.health.view import Finding, View

MEANING = "the version of the kernel is one that the board is known to work with"


def check(view: View) -> Iterable[Finding]:
    """Warning outside of the bounds in the device's profile."""
    if view.kernel is None:
        return
    fault = misfit(view.kernel)
    if not fault:
        yield Finding(severity="ok", text=f"Linux {view.kernel.found}")
        return
    yield Finding(
        severity="warning",
        text=f"Linux {fault}, by the profile {view.profile}",
        code="device.kernel",
        remedy=view.kernel.note or "install the board maker's current system image",
    )
