"""What is known of a kind of board, as typed structs: ``device_profiles/*.toml`` and those of the site.

A profile holds public facts and what edgeward makes of them. Every table of facts names where they come
from (``source``); a fact that nobody published is left out, and stands for "not known".
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from agent.config_types import Name, Section, Text

Arch = Literal["any", "aarch64", "armv7l", "x86_64"]
Celsius = Annotated[float, msgspec.Meta(ge=20, le=130)]
# major.minor, perhaps more: what a kernel or a driver calls itself begins so.
Version = Annotated[str, msgspec.Meta(pattern=r"^([0-9]+(\.[0-9]+){0,3})?\Z")]
Texts = Annotated[tuple[Text, ...], msgspec.Meta(max_length=64)]
Path = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]{1,200}\Z")]
Number = Annotated[int, msgspec.Meta(ge=0, le=1023)]
# vendor:device in hexadecimal; a device of "*" is any of that vendor.
PciId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{4}:([0-9a-f]{4}|\*)\Z")]
Sources = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=16)]


class Facts(Section, frozen=True, kw_only=True):
    """A table of facts: ``source`` names the public documents that they are from."""

    source: Sources


class Detect(Facts, frozen=True, kw_only=True):
    """``[detect]``: how the board is known.

    Where ``compatible`` is given, one of them must stand in the device tree. Where ``pci`` or ``files`` are,
    one such PCI device (whose class begins with ``pci_class``) or one such file must be there.
    """

    compatible: Texts = ()
    pci: Annotated[tuple[PciId, ...], msgspec.Meta(max_length=64)] = ()
    pci_class: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2}){0,3}\Z")] = ""
    files: Annotated[tuple[Path, ...], msgspec.Meta(max_length=16)] = ()


class Cluster(Section, frozen=True, kw_only=True):
    """``[[cpu.cluster]]``: CPUs of one kind, by the numbers that Linux gives them."""

    kind: Literal["big", "middle", "little", "only"]
    core: Text
    cpus: Annotated[tuple[Number, ...], msgspec.Meta(min_length=1, max_length=256)]


class Cpu(Facts, frozen=True, kw_only=True):
    """``[cpu]``: the layout. ``inference`` are the CPUs that models run best on; empty: all."""

    cluster: Annotated[tuple[Cluster, ...], msgspec.Meta(max_length=8)] = ()
    inference: Annotated[tuple[Number, ...], msgspec.Meta(max_length=256)] = ()


class Memory(Facts, frozen=True, kw_only=True):
    """``[memory]``: ``headroom_mb`` is left to the system, decoders and drivers (MB of 10^6 bytes)."""

    sizes_mb: Annotated[tuple[int, ...], msgspec.Meta(max_length=16)] = ()
    headroom_mb: Annotated[int, msgspec.Meta(ge=16, le=65_536)]
    shared_with_gpu: bool = False


class Thermal(Facts, frozen=True, kw_only=True):
    """``[thermal]``: zones by their ``type``, and when the board slows itself down.

    Empty ``zones`` are all that there are. ``limit_c`` is where throttling begins, ``warn_c`` where the
    governor acts; without them they are taken from the trip points of each zone. ``hwmon`` are sensors
    for boards without usable zones, by the name of their driver.
    """

    zones: Texts = ()
    hwmon: Texts = ()
    warn_c: Celsius | None = None
    limit_c: Celsius | None = None


class Accelerator(Facts, frozen=True, kw_only=True):
    """``[[accelerator]]``: what could run a model beside the CPU, and whether edgeward can use it.

    ``use``: ``run`` (run by us on such hardware), ``written`` (there is an engine, which was never run on
    this hardware) or ``none`` (no engine of edgeward uses it).
    """

    kind: Literal["gpu", "npu", "dla", "vpu"]
    name: Text
    use: Literal["run", "written", "none"]
    engine: str = ""
    note: str = ""


class Decoder(Facts, frozen=True, kw_only=True):
    """``[[decoder]]``: how the board decodes a codec in hardware, ``none`` when it cannot.

    What the board has: edgeward itself decodes in software today, on every board.
    """

    codec: Literal["h264", "h265"]
    hardware: Text
    limits: str = ""


class Kernel(Facts, frozen=True, kw_only=True):
    """``[kernel]``: versions of Linux that the board is known to run with; empty: no bound is known."""

    min: Version = ""
    max: Version = ""
    note: str = ""


class Driver(Facts, frozen=True, kw_only=True):
    """``[[driver]]``: a driver that an accelerator needs. Its version stands in the first of ``files``."""

    name: Text
    files: Annotated[tuple[Path, ...], msgspec.Meta(max_length=8)] = ()
    min: Version = ""
    max: Version = ""
    note: str = ""


class Engines(Facts, frozen=True, kw_only=True):
    """``[engines]``: which engines suit the board, best first, and their providers, best first."""

    order: Texts = ()
    providers: dict[Text, Texts] = msgspec.field(default_factory=dict)


class Limit(Facts, frozen=True, kw_only=True):
    """``[[limit]]``: something that does not work there, said plainly."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


class Profile(Section, frozen=True, kw_only=True):
    """One kind of board."""

    name: Name
    title: Text
    arch: Arch
    soc: str = ""
    detect: Detect | None = None
    cpu: Cpu | None = None
    memory: Memory
    thermal: Thermal | None = None
    kernel: Kernel | None = None
    engines: Engines | None = None
    accelerator: Annotated[tuple[Accelerator, ...], msgspec.Meta(max_length=8)] = ()
    decoder: Annotated[tuple[Decoder, ...], msgspec.Meta(max_length=8)] = ()
    driver: Annotated[tuple[Driver, ...], msgspec.Meta(max_length=8)] = ()
    limit: Annotated[tuple[Limit, ...], msgspec.Meta(max_length=32)] = ()

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The kinds of CPUs; empty when they are not known."""
        return self.cpu.cluster if self.cpu else ()

    @property
    def inference_cpus(self) -> tuple[int, ...]:
        """The CPUs that models run best on; empty means all."""
        return self.cpu.inference if self.cpu else ()

    @property
    def headroom_mb(self) -> int:
        """Memory in MB (10^6 bytes) that is left to the system, decoders and drivers."""
        return self.memory.headroom_mb

    @property
    def limits(self) -> tuple[str, ...]:
        """What does not work there."""
        return tuple(limit.text for limit in self.limit)

    @property
    def kernel_min(self) -> str:
        """The oldest Linux that it is known to run with, as ``5.10``; empty when that is not known."""
        return self.kernel.min if self.kernel else ""

    @property
    def kernel_max(self) -> str:
        """The newest; ``4.9`` allows every 4.9.x."""
        return self.kernel.max if self.kernel else ""
