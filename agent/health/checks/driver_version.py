"""Are the accelerators' drivers of a version that works?"""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.version import misfit
from agent.health.view import Finding, View

MEANING = "the drivers of the board's accelerators that are there are of a version that works"


def check(view: View) -> Iterable[Finding]:
    """Warning outside of the bounds in the device's profile; by driver.

    Without one nothing is wrong: models run on the CPU, and preflight says why not on the accelerator.
    """
    for name, driver in view.drivers.items():
        fault = misfit(driver)
        if not fault:
            text = driver.found or "not seen; without it models run on the CPU alone"
            yield Finding(subject=name, severity="ok", text=text)
            continue
        yield Finding(
            subject=name,
            severity="warning",
            text=f"{fault}, by the profile {view.profile}",
            code="device.driver",
            remedy=driver.note or "install the driver that the board's maker names",
        )
