"""Is the device itself well: disk, memory, temperature, clock, certificates?"""

from __future__ import annotations

import os
from pathlib import Path

from agent.doctor import device_facts
from agent.doctor.finding import Finding, ok, quoted
from agent.doctor.mend import mount_of
from agent.doctor.probes import results
from agent.doctor.site import Site
from agent.health.checks import find_checks
from agent.health.view import Finding as Judged
from agent.health.view import View

MEANING = (
    "disk, inodes, memory, temperature, power, clock, certificates and kernel, judged as health judges them"
)
NEEDS = ("configuration",)
_TEMPERATURES = "paste /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp"


def probe(site: Site) -> list[Finding]:
    """The checks of health, on facts of this moment; and what the agent's own health says beside."""
    view = device_facts.gather(site)
    found = []
    looked_at = set()
    for check in find_checks():
        if check.id not in device_facts.JUDGED:
            continue
        for judged in check.run(view):
            looked_at.add(check.id)
            found.append(_finding(check.id, judged, view))
    return found + _of_the_agent(site, looked_at)


def _finding(check: str, judged: Judged, view: View) -> Finding:
    subject = f"{check}, {judged.subject}" if judged.subject else check
    if judged.severity == "ok":
        return ok(judged.text, subject=subject)
    return Finding(
        result="fail" if judged.severity == "critical" else "warn",
        text=judged.text,
        subject=subject,
        code=judged.code,
        remedy=judged.remedy,
        command=_command(check, judged, view),
    )


def _command(check: str, judged: Judged, view: View) -> str:
    """What to type; for a check that is not known here, what tells more."""
    folder = view.state_dir
    if check == "disk_space" and view.disk_read_only:
        return quoted("sudo", "mount", "-o", "remount,rw", mount_of(Path(folder)))
    largest = f"{quoted('sudo', 'du', '-xh', folder)} | sort -h | tail -n 20"
    most_files = f"{quoted('sudo', 'du', '--inodes', '-x', folder)} | sort -n | tail -n 20"
    if check == "certificate_expiry" and not os.access(judged.subject, os.R_OK):
        return quoted("ls", "-l", judged.subject)
    commands = {
        "clock_sync": "sudo timedatectl set-ntp true && timedatectl status",
        "disk_space": largest,
        "disk_inodes": most_files,
        "memory_pressure": "ps -eo pid,rss,args --sort=-rss | head -n 15",
        "certificate_expiry": quoted(
            "openssl", "x509", "-noout", "-dates", "-subject", "-in", judged.subject
        ),
        "temperature": _TEMPERATURES,
        "throttling": _TEMPERATURES,
        "kernel_version": "uname -r && sudo apt-get update && sudo apt-get full-upgrade",
    }
    return commands.get(check, "edgeward status")


def _of_the_agent(site: Site, looked_at: set[str]) -> list[Finding]:
    """What only the agent knows, such as how long it takes or what it lost. Pipelines have a probe."""
    elsewhere = {*results.JUDGED, "broker_link", "config_reload"}
    found = []
    for check in site.health.checks if site.health else ():
        if check.severity == "ok" or check.id in looked_at | elsewhere:
            continue
        found.append(
            Finding(
                result="fail" if check.severity == "critical" else "warn",
                text=check.text,
                subject=f"{check.id}, {check.subject}" if check.subject else check.id,
                code=check.code,
                remedy=check.remedy,
                command="edgeward status",
            )
        )
    return found
