"""Power: too low a voltage, too much current, and whether the board slows itself down already.

- Raspberry Pi: ``get_throttled`` of its firmware (kernel of the Raspberry Pi), or the hwmon driver
  ``rpi_volt`` (Documentation/hwmon/raspberrypi-hwmon.rst of Linux).
- Jetson: counters of over-current events, and the power mode that ``nvpmodel`` wrote down (Jetson Linux
  Developer Guide, "Platform Power and Performance").
- All: cooling devices of the kernel that cap clocks; counters of the x86 processors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent.device.board import names_in, read_text

PLATFORM = "sys/devices/platform"
NVPMODEL_STATUS = "var/lib/nvpmodel/status"
_UNDER_VOLTAGE, _CAPPED, _THROTTLED = 0x1, 0x2, 0x4
# Cooling devices that cap the clocks of processors; fans and backlights are others.
_CAPS_CLOCKS = re.compile(r"(thermal-)?(cpufreq|devfreq)-|[a-z0-9]+-throttle-alert\Z")
_MAX_COOLERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the board says now; ``None`` stands for "it has no such sensor".

    ``throttled``: the board's firmware says that it slows the board down. ``capped`` are the kernel's
    cooling devices that do. ``events`` counts throttling and over-current since the board started, by
    source. ``mode`` is the board's power mode as it names it.
    """

    under_voltage: bool | None = None
    throttled: bool = False
    capped: tuple[str, ...] = ()
    events: dict[str, int]
    mode: str = ""

    @property
    def slowed_by(self) -> tuple[str, ...]:
        """Why the board is not at its full clock, in words; nothing when it is."""
        low = ("the supply's voltage is too low",) if self.under_voltage else ()
        slow = ("its firmware lowers the clocks",) if self.throttled else ()
        return (*low, *slow, *(f"clocks are capped ({what})" for what in self.capped))


class PowerSensors:
    """The power sensors that a board has, found once."""

    def __init__(self, root: Path) -> None:
        # "soc" up to the Raspberry Pi 4, "soc@107c000000" on the 5.
        places = (root / PLATFORM / name for name in names_in(root / PLATFORM) if name.startswith("soc"))
        masks = (place / f"{place.name}:firmware" / "get_throttled" for place in places)
        self._firmware = next((file for file in masks if read_text(file) is not None), None)
        self._mode = root / NVPMODEL_STATUS
        hwmon, thermal = root / "sys/class/hwmon", root / "sys/class/thermal"
        names = names_in(hwmon)
        self._alarms = [
            hwmon / name / "in0_lcrit_alarm"
            for name in names
            if read_text(hwmon / name / "name") == "rpi_volt"
        ]
        counters = {
            "over-current": [
                hwmon / name / file
                for name in names
                for file in names_in(hwmon / name)
                if re.fullmatch(r"oc\d+_event_cnt", file)
            ],
            "processor throttled": [
                root / "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
            ],
        }
        self._counters = {
            what: [file for file in files if _number(file) is not None] for what, files in counters.items()
        }
        self._coolers: list[tuple[str, Path]] = []
        for name in names_in(thermal):
            kind = read_text(thermal / name / "type") if name.startswith("cooling_device") else None
            if kind and _CAPS_CLOCKS.match(kind):
                self._coolers.append((kind, thermal / name / "cur_state"))
        self._coolers = self._coolers[:_MAX_COOLERS]

    @property
    def found(self) -> tuple[str, ...]:
        """What is watched, in words."""
        now = self.read()
        kinds = [*now.events, *(["supply voltage"] if now.under_voltage is not None else [])]
        return (*kinds, *(["capped clocks"] if self._coolers else []))

    def read(self) -> Power:
        """What they say now."""
        under_voltage, throttled = self._firmware_says()
        for alarm in self._alarms:
            told = _number(alarm)
            if told is not None and under_voltage is None:
                under_voltage = told > 0
        capped = [kind for kind, file in self._coolers if (_number(file) or 0) > 0]
        events = {}
        for what, files in self._counters.items():
            counts = [count for file in files if (count := _number(file)) is not None]
            # Without one of them the sum would fall, and its return look like new events.
            if counts and len(counts) == len(files):
                events[what] = sum(counts)
        mode = (read_text(self._mode) or "").partition("\n")[0][:40]
        return Power(
            under_voltage=under_voltage,
            throttled=throttled,
            capped=tuple(dict.fromkeys(capped)),
            events=events,
            mode=mode if mode.isprintable() else "",
        )

    def _firmware_says(self) -> tuple[bool | None, bool]:
        """Of a Raspberry Pi: under-voltage and throttling, live bits of a mask in hexadecimal."""
        try:
            mask = int((read_text(self._firmware) if self._firmware else None) or "", 16)
        except ValueError:
            return None, False
        return bool(mask & _UNDER_VOLTAGE), bool(mask & (_CAPPED | _THROTTLED))


def _number(file: Path) -> int | None:
    try:
        return int(read_text(file) or "")
    except ValueError:
        return None
