"""How much memory this process takes, as the kernel counts it. MB are 1,000,000 bytes."""

from __future__ import annotations

import contextlib
from pathlib import Path


def peak_mb() -> float:
    """The most that was ever resident at a time (``VmHWM`` of proc(5)); 0 when the kernel does not tell."""
    return round(_kilobytes(Path("/proc/self/status"), "VmHWM:") * 1024 / 1e6, 1)


def pss_mb() -> float | None:
    """What is resident now, pages that other processes use as well counted in part; None as above."""
    return round(_kilobytes(Path("/proc/self/smaps_rollup"), "Pss:") * 1024 / 1e6, 1) or None


def _kilobytes(path: Path, key: str) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text("ascii", "replace").splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0
