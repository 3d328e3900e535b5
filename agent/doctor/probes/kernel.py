"""What the kernel gives for confinement and for judging memory."""

from __future__ import annotations

from agent.doctor.finding import Finding, ok
from agent.doctor.site import Site
from runtime.bundle import landlock

MEANING = "the kernel confines workers (Landlock), tells of pressure (PSI), and lends memory control (cgroup)"


def probe(site: Site) -> list[Finding]:
    """None of it is needed to run: what is missing is named, with what is lost by it."""
    return [_landlock(), _pressure(site), _cgroup(site)]


def _landlock() -> Finding:
    version = landlock.version()
    if version > 0:
        return ok(f"Landlock, version {version}", subject="landlock")
    return Finding(
        result="warn",
        text="no Landlock: a worker is not kept from the files of others",
        subject="landlock",
        remedy="use a kernel of 5.13 or newer that has it switched on (lsm=...,landlock)",
        command="cat /sys/kernel/security/lsm; uname -r",
    )


def _pressure(site: Site) -> Finding:
    if site.read("/proc/pressure/memory"):
        return ok("PSI tells how much programs wait for memory", subject="pressure")
    return Finding(
        result="warn",
        text="no PSI: a device that runs out of memory is noticed later",
        subject="pressure",
        remedy="start the kernel with psi=1",
        command="cat /proc/cmdline",
    )


def _cgroup(site: Site) -> Finding:
    controllers = site.read("/sys/fs/cgroup/cgroup.controllers").split()
    if "memory" in controllers:
        return ok("cgroup v2 with the memory controller", subject="cgroup")
    return ok("no cgroup v2 memory controller: workers are measured and ended by the agent", subject="cgroup")
