"""What this process may use of the board it runs on: CPUs and memory, quotas of its cgroups included."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from agent.cli.bench_capacity import Board

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def board(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Board:
    """CPUs of the affinity mask and available memory, or less where a cgroup (v2 or v1) allows less."""
    cpus = float(len(os.sched_getaffinity(0)))
    memory = psutil.virtual_memory().available
    for folder in _folders(cgroups, own):
        cpus = min(cpus, _quota(folder, cpus))
        memory = min(memory, _memory_left(folder, memory))
    return Board(cpus=cpus, memory_mb=memory / 1e6)


def _folders(cgroups: Path, own: Path) -> list[Path]:
    """The folders of this process's cgroups and of all above them, of every hierarchy."""
    folders: list[Path] = []
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        root = cgroups / controllers if controllers else cgroups
        at = root / path.lstrip("/")
        folders += [folder for folder in (at, *at.parents) if folder.is_relative_to(root) and folder.is_dir()]
    return folders


def _quota(folder: Path, unlimited: float) -> float:
    """CPUs that the cgroup's bandwidth allows."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not period:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    try:
        return int(quota) / int(period) if int(quota) > 0 else unlimited
    except (ValueError, ZeroDivisionError):
        return unlimited  # "max", or a hierarchy without this controller


def _memory_left(folder: Path, unlimited: int) -> int:
    """Bytes below the cgroup's limit; file pages that were not touched lately give way, so they are free."""
    limit = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
    used = _text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes")
    idle = 0
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"}:  # v2; v1 with the groups below
            idle = max(idle, int(value))
    try:
        return max(0, int(limit) - int(used) + idle)
    except ValueError:
        return unlimited  # "max", or a hierarchy without this controller


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""
