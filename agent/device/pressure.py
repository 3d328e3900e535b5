"""Memory pressure as the kernel measures it: the share of time that programs wait for memory (PSI)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent.device.board import read_text

_LINE = re.compile(r"^(some|full) (.*)", re.MULTILINE)
_SHARE = re.compile(r"\bavg(\d+)=(\d+(?:\.\d+)?) ")


@dataclass(frozen=True, slots=True)
class Pressure:
    """Percent of the time in which some program, or all of them, waited for memory."""

    some: float
    full: float


def memory_pressure(root: Path, over_s: int = 10) -> Pressure | None:
    """What /proc/pressure/memory says of the last 10, 60 or 300 s; ``None`` where the kernel has no PSI."""
    told = {
        kind: float(share)
        for kind, shares in _LINE.findall(read_text(root / "proc/pressure/memory") or "")
        for seconds, share in _SHARE.findall(shares)
        if int(seconds) == over_s
    }
    if "some" not in told:
        return None
    return Pressure(some=told["some"], full=told.get("full", 0.0))
