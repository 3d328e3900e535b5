"""The facts that the checks of health judge, gathered once and without an agent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from agent import device
from agent.device import thermal
from agent.device.power import PowerSensors
from agent.device.pressure import memory_pressure
from agent.device.profile import Profile
from agent.doctor.site import Site
from agent.health.certificates import CertificateReader
from agent.health.facts import certificate_files
from agent.health.probe import disk
from agent.health.view import VersionFacts, View, ZoneFacts
from agent.link.clock import WallClock
from runtime.errors import EdgewardError

# The checks that need no more than what is gathered here.
JUDGED = (
    "certificate_expiry",
    "clock_sync",
    "disk_inodes",
    "disk_space",
    "kernel_version",
    "memory_pressure",
    "temperature",
    "throttling",
)
# What systemd's and chrony's users go by where the kernel itself is not asked: another machine's disk.
_SYNCHRONISED = "/run/systemd/timesync/synchronized"


def gather(site: Site) -> View:
    """One moment of the device; what cannot be read stays out, and its check says nothing."""
    config = site.known
    folder = _nearest(site.state_dir)
    room = disk(folder)
    try:
        profile = device.current(config, site.root).profile
    except EdgewardError:
        profile = None  # told by the probe of the board
    zones = thermal.find_zones(site.root, profile.thermal if profile else None, config.governor)
    pressure = memory_pressure(site.root, over_s=60)
    power = PowerSensors(site.root)
    now_free, total = _memory(site)
    return View(
        state_dir=str(folder),
        disk_free_mb=room.free_mb,
        disk_total_mb=room.total_mb,
        disk_read_only=room.read_only,
        inodes_free_percent=room.inodes_free_percent,
        memory_free_percent=100.0 * now_free / total if total else None,
        pressure_percent=pressure.full if pressure else None,
        zones={
            item.zone.name: ZoneFacts(
                celsius=item.celsius, warn_c=item.zone.warn_c, limit_c=item.zone.limit_c
            )
            for item in thermal.read(zones)
            if item.celsius is not None
        },
        throttled=power.read().slowed_by if power.found else None,
        clock_synchronised=_synchronised(site),
        clock_year=dt.datetime.now(dt.UTC).year,
        certificates=CertificateReader(certificate_files(config)).read(),
        kernel=_kernel(site, profile),
        profile=profile.name if profile else "",
    )


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that there is: a folder that is not made yet will lie there."""
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _memory(site: Site) -> tuple[int, int]:
    lines = dict(line.split(":", 1) for line in site.read("/proc/meminfo").splitlines() if ":" in line)
    try:
        return int(lines["MemAvailable"].split()[0]), int(lines["MemTotal"].split()[0])
    except (KeyError, ValueError, IndexError):
        return 0, 0


def _synchronised(site: Site) -> bool:
    if site.root != Path("/"):
        return site.at(_SYNCHRONISED).exists()
    return WallClock().synchronised()


def _kernel(site: Site, profile: Profile | None) -> VersionFacts | None:
    release = site.read("/proc/sys/kernel/osrelease")
    if profile is None or profile.kernel is None or not release:
        return None
    kernel = profile.kernel
    return VersionFacts(found=release, least=kernel.min, most=kernel.max, note=kernel.note)
