"""What a board says of itself: device tree, DMI, PCI devices, machine. Reading it never fails.

Everything is read below a root folder: ``/``, a mounted disk, or a copy of /proc and /sys.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from agent.device.profile import PciId

_MAX_BYTES = 1 << 16
_MAX_DEVICES = 1024
_POINTER_BYTES = struct.calcsize("P")


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A device on the PCI bus: ``vendor:device`` and its class, in hexadecimal digits."""

    id: PciId
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What was found. ``compatible`` is the device tree's, most special first; empty texts: not told.

    ``machine`` is what programs here are made for: ``armv7l`` too for a 32-bit system on a 64-bit kernel.
    ``fast_cpus`` are the big cores where there are two kinds; empty where all are equal, or nobody tells.
    """

    root: Path
    machine: str = ""
    compatible: tuple[str, ...] = ()
    model: str = ""
    vendor: str = ""
    product: str = ""
    cores: tuple[str, ...] = ()
    fast_cpus: tuple[int, ...] = ()
    pci: tuple[PciDevice, ...] = ()

    def has_file(self, path: str) -> bool:
        """Whether ``path`` (absolute, as on the board) is there."""
        return os.path.lexists(self.root / path.lstrip("/"))

    @property
    def title(self) -> str:
        """What the board calls itself, or its processor's cores, for a person."""
        made = f"{self.vendor} {self.product}".strip()
        return self.model or made or ", ".join(self.cores) or "a board that tells nothing of itself"


def look(root: Path = Path("/")) -> Board:
    """The board below ``root``. What cannot be read or makes no sense is left out."""
    compatible, model = b"", ""
    for folder in ("proc/device-tree", "sys/firmware/devicetree/base"):
        compatible = compatible or _bytes(root / folder / "compatible")
        model = model or _text(root / folder / "model")
    return Board(
        root=root,
        machine=_machine(root),
        compatible=tuple(_printable(part) for part in compatible.split(b"\0") if part),
        model=model,
        vendor=_text(root / "sys/class/dmi/id/sys_vendor"),
        product=_text(root / "sys/class/dmi/id/product_name"),
        cores=_cores(root),
        fast_cpus=_by_capacity(root) or _by_part(root),
        pci=_pci(root),
    )


def read_text(file: Path) -> str | None:
    """The text of a small file of /proc or /sys, without the white space around it; ``None``: not there."""
    try:
        # Not waiting: what lies there may be a FIFO, in a copy.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(descriptor, _MAX_BYTES).decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None  # a sensor that is switched off, a folder
    finally:
        os.close(descriptor)


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, in order; nothing when it cannot be read."""
    try:
        return sorted(os.listdir(folder))[:_MAX_DEVICES]  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []


def _bytes(file: Path) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _MAX_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _text(file: Path) -> str:
    return _printable(_bytes(file).strip(b"\0 \t\r\n"))[:200]


def _printable(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _kernel_machine(root: Path) -> str:
    if root == Path("/"):
        return os.uname().machine
    told = _text(root / "proc/sys/kernel/arch")  # since Linux 6.1
    if told:
        return told
    info = _bytes(root / "proc/cpuinfo").decode("ascii", "replace")
    if re.search(r"^flags\s*:.*\blm\b", info, re.MULTILINE):
        return "x86_64"
    # A 64-bit kernel writes "8" for every ARMv8; a 32-bit one names the instruction set as well.
    if re.search(r"^CPU architecture\s*:\s*(8|AArch64)\s*$", info, re.MULTILINE):
        return (
            "armv7l"
            if re.search(r"^model name\s*:\s*ARMv[78] .*\(v[78]l\)", info, re.MULTILINE)
            else "aarch64"
        )
    return "armv7l" if re.search(r"^CPU architecture\s*:\s*7\s*$", info, re.MULTILINE) else ""


def _machine(root: Path) -> str:
    machine = _kernel_machine(root)
    if machine == "armv8l":
        return "armv7l"  # a 64-bit kernel that was told to look like a 32-bit one
    small = root == Path("/") and _POINTER_BYTES == 4
    return "armv7l" if small and machine == "aarch64" else machine


# MIDR implementer 0x41 (Arm): part numbers of the cores that such boards have; "Arm Architecture Reference
# Manual" and the technical reference manual of each core.
_ARM_CORES = {
    0xC07: "Cortex-A7",
    0xD01: "Cortex-A32",
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77",
    0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE",
}
_LITTLE = frozenset({"Cortex-A7", "Cortex-A32", "Cortex-A53", "Cortex-A35", "Cortex-A55"})
_PROCESSOR = re.compile(r"^processor\s*:\s*([0-9]{1,4})\s*$", re.MULTILINE)
_PART = re.compile(r"^CPU part\s*:\s*0x([0-9a-fA-F]{1,4})\s*$", re.MULTILINE)
_MODEL_NAME = re.compile(r"^model name\s*:\s*(\S.{0,80})$", re.MULTILINE)


def _cores(root: Path) -> tuple[str, ...]:
    """The kinds of cores, each once, in the order of /proc/cpuinfo."""
    info = _bytes(root / "proc/cpuinfo").decode("ascii", "replace")
    parts = [int(part, 16) for part in _PART.findall(info)]
    names = [_ARM_CORES.get(part, f"part 0x{part:03x}") for part in parts] or _MODEL_NAME.findall(info)
    return tuple(dict.fromkeys(names))


def _by_capacity(root: Path) -> tuple[int, ...]:
    """The CPUs that the kernel gives more than three quarters of the largest capacity, if not all."""
    base = root / "sys/devices/system/cpu"
    told: dict[int, int] = {}
    for name in names_in(base):
        number, capacity = re.fullmatch(r"cpu([0-9]{1,4})", name), _text(base / name / "cpu_capacity")
        if number and re.fullmatch(r"[0-9]{1,6}", capacity):
            told[int(number[1])] = int(capacity)
    fast = [cpu for cpu, capacity in sorted(told.items()) if capacity > 0.75 * max(told.values())]
    return tuple(fast) if len(fast) < len(told) else ()


def _by_part(root: Path) -> tuple[int, ...]:
    """The CPUs that are no little cores by their part numbers, where there are both kinds."""
    info = _bytes(root / "proc/cpuinfo").decode("ascii", "replace")
    parts = [_ARM_CORES.get(int(part, 16), "") for part in _PART.findall(info)]
    numbers = [int(number) for number in _PROCESSOR.findall(info)]
    if len(parts) != len(numbers) or "" in parts:
        return ()
    fast = [number for number, part in zip(numbers, parts, strict=True) if part not in _LITTLE]
    return tuple(fast) if len(fast) < len(parts) else ()


def _pci(root: Path) -> tuple[PciDevice, ...]:
    found = []
    bus = root / "sys/bus/pci/devices"
    for name in names_in(bus):
        vendor, device, kind = (_text(bus / name / part) for part in ("vendor", "device", "class"))
        if all(re.fullmatch(r"0x[0-9a-f]{4,6}", part) for part in (vendor, device, kind)):
            found.append(PciDevice(f"{vendor[2:]}:{device[2:]}", kind[2:]))
    return tuple(found)
