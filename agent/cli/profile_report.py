"""A profile as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.device.profile import Accelerator, Decoder, Profile, Thermal

_USE = {
    "run": "used, and run by us on it",
    "written": "edgeward has an engine for it, which nobody has run on this hardware yet",
    "none": "not used by edgeward",
}


def lines(profile: Profile, file: Path) -> Iterator[str]:
    """What the profile says, where it is from, and the public sources of its facts."""
    yield f"{profile.name}: {profile.title}"
    yield from _rows(profile)
    for accelerator in profile.accelerator:
        yield _row("accelerator", _accelerator(accelerator))
    for decoder in profile.decoder:
        yield _row("decodes", _decoder(decoder))
    if profile.decoder:
        yield _row("", "(what the board has; edgeward itself decodes on the CPU)")
    for limit in profile.limits:
        yield _row("limit", limit)
    yield _row("file", str(file))
    for source in _sources(profile):
        yield _row("source", source)


def _rows(profile: Profile) -> Iterator[str]:
    yield _row("processor", f"{profile.soc} ({profile.arch})" if profile.soc else profile.arch)
    for cluster in profile.clusters:
        yield _row("cores", f"{cluster.kind}: {cluster.core}, CPU {_numbers(cluster.cpus)}")
    if profile.inference_cpus:
        yield _row("inference", f"on CPU {_numbers(profile.inference_cpus)}")
    sizes = ", ".join(f"{size}" for size in profile.memory.sizes_mb)
    shared = ", shared with the GPU" if profile.memory.shared_with_gpu else ""
    yield _row("memory", f"{sizes or 'any size'} MB{shared}; {profile.headroom_mb} MB are left to the system")
    if profile.thermal:
        yield _row("thermal", _thermal(profile.thermal))
    if profile.kernel_min or profile.kernel_max:
        bounds = [f"{profile.kernel_min} or newer"] if profile.kernel_min else []
        bounds += [f"up to {profile.kernel_max}"] if profile.kernel_max else []
        yield _row("Linux", ", ".join(bounds))
    for driver in profile.driver:
        yield _row("driver", f"{driver.name}: {driver.note}" if driver.note else driver.name)
    if profile.engines:
        yield _row("engines", ", ".join(profile.engines.order))


def _row(name: str, text: str) -> str:
    return f"{name:<12} {text}"


def _numbers(cpus: Iterable[int]) -> str:
    return ", ".join(str(cpu) for cpu in cpus)


def _thermal(thermal: Thermal) -> str:
    zones = ", ".join((*thermal.zones, *thermal.hwmon)) or "all zones"
    if thermal.limit_c is None:
        return f"{zones}; limits are those of the trip points"
    warn = f"governed from {thermal.warn_c:g} °C on, " if thermal.warn_c is not None else ""
    return f"{zones}; {warn}throttles at {thermal.limit_c:g} °C"


def _accelerator(item: Accelerator) -> str:
    note = f"; {item.note}" if item.note else ""
    return f"{item.kind.upper()}: {item.name}: {_USE[item.use]}{note}"


def _decoder(item: Decoder) -> str:
    codec = {"h264": "H.264", "h265": "H.265"}[item.codec]
    limits = f", {item.limits}" if item.limits else ""
    return f"{codec} in hardware: {'no' if item.hardware == 'none' else item.hardware}{limits}"


def _sources(profile: Profile) -> tuple[str, ...]:
    """Each source once, in the order of the tables."""
    tables = (
        profile.detect,
        profile.cpu,
        profile.memory,
        profile.thermal,
        profile.kernel,
        profile.engines,
        *profile.accelerator,
        *profile.decoder,
        *profile.driver,
        *profile.limit,
    )
    return tuple(dict.fromkeys(source for table in tables if table for source in table.source))
