"""Figures of the whole device: processors, memory, disk, network, temperatures, and the agent itself."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

# Made by containers and tunnels, by the dozen; what goes through them goes through a real one as well.
_VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "cni", "flannel")
MOST_INTERFACES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFigures:
    """Counts are since the device started; ``cpu_s`` by processor: busy and idle seconds. Sizes in bytes.

    ``frequency_mhz`` is by processor as far as the kernel tells; ``network`` received and sent by interface.
    """

    cpu_s: tuple[tuple[float, float], ...]
    frequency_mhz: tuple[float, ...]
    memory_total: int
    memory_available: int
    swap_total: int
    swap_used: int
    network: dict[str, tuple[int, int]]
    load1: float


def read() -> DeviceFigures:
    """Now. Reads /proc and /sys, which do not block."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    times = psutil.cpu_times(percpu=True)
    return DeviceFigures(
        # User time holds that of guests already.
        cpu_s=tuple(
            (round(each.user + each.nice + each.system + each.irq + each.softirq + each.steal, 2), each.idle)
            for each in times
        ),
        frequency_mhz=_frequencies(len(times)),
        memory_total=memory.total,
        memory_available=memory.available,
        swap_total=swap.total,
        swap_used=swap.used,
        network=_network(),
        load1=os.getloadavg()[0],
    )


def busy_percents(before: DeviceFigures | None, now: DeviceFigures) -> tuple[float, ...]:
    """How busy each processor was in between; zeros when they are not the same processors."""
    if before is None or len(before.cpu_s) != len(now.cpu_s):
        return tuple(0.0 for _ in now.cpu_s)
    found = []
    for (busy_before, idle_before), (busy, idle) in zip(before.cpu_s, now.cpu_s, strict=True):
        spent, rested = max(busy - busy_before, 0.0), max(idle - idle_before, 0.0)
        found.append(round(100 * spent / (spent + rested), 1) if spent + rested else 0.0)
    return tuple(found)


def pss_mb(pid: str = "self") -> float | None:
    """Proportional set size of a process in MiB; ``None`` where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None


def uptime_s() -> float:
    """Of the device."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _frequencies(cpus: int) -> tuple[float, ...]:
    """Empty where the kernel has no cpufreq: psutil would then read all of /proc/cpuinfo."""
    found = []
    for cpu in range(cpus):
        try:
            text = Path(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq").read_text("ascii")
            found.append(int(text) / 1000)
        except (OSError, ValueError):
            return ()
    return tuple(found)


def _network() -> dict[str, tuple[int, int]]:
    with contextlib.suppress(OSError):
        told = psutil.net_io_counters(pernic=True)
        real = {name: each for name, each in told.items() if not name.startswith(_VIRTUAL)}
        names = sorted(real)[:MOST_INTERFACES]
        return {name: (real[name].bytes_recv, real[name].bytes_sent) for name in names}
    return {}
