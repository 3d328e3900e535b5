"""Is the clock right? Times in messages and certificates hang on it."""

from __future__ import annotations

from collections.abc import Iterable

from agent.health.view import Finding, View

MEANING = "the clock of the device is set and kept in step by a time server"
# After the start of a device it takes a while until its time server answers.
AFTER_S = 120.0
# Before the first release of edgeward: a board without a battery begins in 1970.
TOO_EARLY = 2026


def check(view: View) -> Iterable[Finding]:
    """Warning while the kernel does not hold the clock for synchronised, critical in a past year."""
    if view.clock_synchronised is None:
        return
    if view.clock_year is not None and view.clock_year < TOO_EARLY:
        yield Finding(
            severity="critical",
            text=f"the clock stands in the year {view.clock_year}: TLS and the times of events fail",
            code="device.clock",
            remedy="set it ('timedatectl set-time'), and name a time server in timesyncd.conf",
        )
    elif not view.clock_synchronised:
        yield Finding(
            severity="warning",
            text="the clock is not synchronised: times in messages are marked as not to be believed",
            code="device.clock",
            remedy="name a time server in /etc/systemd/timesyncd.conf; see 'timedatectl status'",
        )
    else:
        yield Finding(severity="ok", text="synchronised")
