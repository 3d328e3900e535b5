"""Thermal zones of the kernel: which there are, what they say, and when the board slows down by them.

Interfaces: Documentation/ABI/testing/sysfs-class-thermal and Documentation/hwmon/sysfs-interface.rst of
Linux.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent.device.board import names_in, read_text
from agent.device.profile import Thermal
from agent.device.settings import Governor

# Below and above, a sensor tells something else than a temperature (switched off: -256 °C); and so does one
# that says exactly 0 (a stub, or one that has died).
_COLDEST_C, _HOTTEST_C = -40.0, 150.0
# A trip point under this is a fan's, a placeholder, or one that nobody set.
_LOWEST_LIMIT_C = 45.0
# Where only the temperature is known at which the kernel shuts the board down.
_BELOW_CRITICAL_C = 10.0
_WARN_BELOW_C = 10.0
_MAX_ZONES = 32
# Cooling devices that slow nothing down: Jetsons only tell by one at 70 °C that the case is hot.
_NO_BRAKE = re.compile(r"hot-surface-alert|fan", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Zone:
    """A place whose temperature is watched; degrees Celsius. From ``limit_c`` on the board throttles."""

    name: str
    file: Path
    warn_c: float
    limit_c: float


@dataclass(frozen=True, slots=True)
class Temperature:
    """What a zone says now; ``None``: nothing that makes sense."""

    zone: Zone
    celsius: float | None


def find_zones(root: Path, thermal: Thermal | None, settings: Governor) -> tuple[Zone, ...]:
    """The zones to watch: those that the profile names (all, if none), whose limit is known.

    The limit is the configuration's, else the profile's, else that of the zone's own trip points. On a kernel
    that calls them all by other names, every zone is watched, by its own trip points.
    """
    found = [*_thermal_zones(root, thermal, settings), *_hwmon_zones(root, thermal, settings)]
    if not found and thermal is not None:
        found = _thermal_zones(root, None, settings)
    return tuple(_distinct(found))[:_MAX_ZONES]


def _thermal_zones(root: Path, thermal: Thermal | None, settings: Governor) -> list[Zone]:
    wanted = thermal.zones if thermal else ()
    found: list[Zone] = []
    base = root / "sys/class/thermal"
    for name in names_in(base):
        kind = read_text(base / name / "type") if name.startswith("thermal_zone") else None
        if not kind or (wanted and kind not in wanted):
            continue
        zone = _zone(kind, base / name / "temp", _trip_limit(base / name), thermal, settings)
        if zone is not None and _celsius(zone.file) is not None:
            found.append(zone)
    return found


def read(zones: tuple[Zone, ...]) -> tuple[Temperature, ...]:
    """The temperatures now, in the order of the zones."""
    return tuple(Temperature(zone, _celsius(zone.file)) for zone in zones)


def _zone(
    name: str, file: Path, own_limit: float | None, thermal: Thermal | None, settings: Governor
) -> Zone | None:
    given = thermal.limit_c if thermal else None
    limit = settings.limit_c or given or own_limit
    if limit is None:
        return None
    warn = settings.warn_c
    if not warn and thermal and thermal.warn_c is not None and not settings.limit_c:
        warn = thermal.warn_c
    warn = warn or limit - _WARN_BELOW_C
    return Zone(name, file, min(warn, limit - 1.0), limit)


def _trip_limit(folder: Path) -> float | None:
    """Where the kernel begins to slow the board down by this zone: its lowest passive trip point."""
    passive, critical = [], []
    slows = _slows(folder)
    for name in names_in(folder):
        trip = re.fullmatch(r"trip_point_([0-9]{1,3})_type", name)
        celsius = _celsius(folder / name.replace("_type", "_temp")) if trip else None
        if trip is None or celsius is None or celsius < _LOWEST_LIMIT_C:
            continue
        kind = read_text(folder / name)
        if kind == "passive" and slows.get(trip[1], True):
            passive.append(celsius)
        elif kind in {"hot", "critical"}:
            critical.append(celsius - _BELOW_CRITICAL_C)
    return min(passive or critical, default=None)


def _slows(folder: Path) -> dict[str, bool]:
    """By number of a trip point, whether what is bound to it slows the board down; where anything is."""
    slows: dict[str, bool] = {}
    for name in names_in(folder):
        kind = read_text(folder / name / "type") if re.fullmatch(r"cdev[0-9]{1,3}", name) else None
        trip = read_text(folder / f"{name}_trip_point") if kind else None
        if kind and trip:
            slows[trip] = slows.get(trip, False) or not _NO_BRAKE.search(kind)
    return slows


def _hwmon_zones(root: Path, thermal: Thermal | None, settings: Governor) -> list[Zone]:
    """The first sensor of each driver that the profile names: on a PC that of the whole processor."""
    found = []
    base = root / "sys/class/hwmon"
    for name in names_in(base) if thermal and thermal.hwmon else ():
        driver = read_text(base / name / "name")
        if thermal is None or driver not in thermal.hwmon:
            continue
        # Of Intel's, "max" is where fans are to run, up to 20 °C below what makes it slow ("crit").
        told = (_celsius(base / name / f"temp1_{part}") for part in ("crit", "max"))
        limits = (celsius for celsius in told if celsius is not None and celsius >= _LOWEST_LIMIT_C)
        zone = _zone(driver, base / name / "temp1_input", next(limits, None), thermal, settings)
        if zone is not None and _celsius(zone.file) is not None:
            found.append(zone)
    return found


def _celsius(file: Path) -> float | None:
    text = read_text(file)
    try:
        celsius = int(text or "") / 1000
    except ValueError:
        return None
    return celsius if _COLDEST_C < celsius < _HOTTEST_C and celsius != 0 else None


def _distinct(zones: list[Zone]) -> list[Zone]:
    """Zones of one name get a number, so that a reason says which one it was."""
    names = [zone.name for zone in zones]
    seen: dict[str, int] = {}
    distinct = []
    for zone in zones:
        seen[zone.name] = seen.get(zone.name, 0) + 1
        name = zone.name if names.count(zone.name) == 1 else f"{zone.name} {seen[zone.name]}"
        distinct.append(Zone(name, zone.file, zone.warn_c, zone.limit_c))
    return distinct
