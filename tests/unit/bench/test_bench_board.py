"""What a process may use is what its cgroups leave it, in version 1 and 2, else the whole board."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.cli.bench_board import board

pytestmark = pytest.mark.unit


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")
    return folder


def own(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "own"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_without_limits_it_is_the_whole_board(tmp_path: Path) -> None:
    group(tmp_path / "cg", cpu__max="max 100000", memory__max="max", memory__current="5")
    found = board(tmp_path / "cg", own(tmp_path, "0::/"))
    assert found.cpus == len(os.sched_getaffinity(0))
    assert found.memory_mb > 50
    assert board(tmp_path / "none", tmp_path / "none").cpus == found.cpus


def test_limits_of_version_2_hold_and_those_of_the_groups_above_too(tmp_path: Path) -> None:
    group(tmp_path / "cg" / "a", cpu__max="50000 100000", memory__max="max")
    group(
        tmp_path / "cg" / "a" / "b",
        cpu__max="max 100000",
        memory__max="50000000",
        memory__current="30000000",
        memory__stat="anon 20000000\ninactive_file 8000000",
    )
    found = board(tmp_path / "cg", own(tmp_path, "0::/a/b"))
    assert found.cpus == 0.5
    assert found.memory_mb == pytest.approx(28.0)


def test_limits_of_version_1_hold(tmp_path: Path) -> None:
    group(tmp_path / "cg" / "cpu,cpuacct" / "x", cpu__cfs_quota_us="25000", cpu__cfs_period_us="100000")
    group(
        tmp_path / "cg" / "memory" / "x", memory__limit_in_bytes="40000000", memory__usage_in_bytes="10000000"
    )
    found = board(tmp_path / "cg", own(tmp_path, "3:cpu,cpuacct:/x", "2:memory:/x", "1:name=systemd:/x"))
    assert (found.cpus, found.memory_mb) == (0.25, 30.0)


def test_a_group_of_version_1_without_a_quota_takes_nothing(tmp_path: Path) -> None:
    group(tmp_path / "cg" / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert board(tmp_path / "cg", own(tmp_path, "3:cpu:/")).cpus == len(os.sched_getaffinity(0))
