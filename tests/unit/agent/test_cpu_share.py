"""Weights become nice levels or cgroup weights; a cgroup is divided only where it was given to us."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from agent.workers.cpu_share import CpuShares, nice_level

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("weight", "level"), [(100, 0), (80, 1), (50, 3), (25, 6), (10, 10), (2, 18), (1, 19)]
)
def test_a_weight_is_so_many_levels_of_a_factor_of_1_25(weight: int, level: int) -> None:
    assert nice_level(weight) == level
    assert weight == 1 or 0.85 < 1.25**-level / (weight / 100) < 1.15


class Tree:
    """Plain folders in the place of a cgroup file system: here its CPU controller is of version 1."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.service = self.root / "system.slice" / "edgeward.service"
        self.service.mkdir(parents=True)
        self.membership = folder / "membership"
        self.stay("/system.slice/edgeward.service")
        self.fill("cpuset cpu memory", str(os.getpid()))

    def stay(self, group: str) -> None:
        self.membership.write_text(f"1:cpu:/elsewhere\n0::{group}\n")

    def fill(self, controllers: str, processes: str) -> None:
        (self.service / "cgroup.controllers").write_text(f"{controllers}\n")
        (self.service / "cgroup.procs").write_text(f"{processes}\n")

    def mark(self, value: bytes = b"1") -> None:
        try:
            os.setxattr(self.service, "user.delegate", value)
        except OSError:
            pytest.skip("the file system of the temporary folder has no extended attributes")

    def shares(self) -> CpuShares:
        return CpuShares.of_this_process(self.root, self.membership)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_delegated_cgroup_is_divided_and_each_worker_gets_its_weight(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.mark()
    with caplog.at_level(logging.INFO):
        shares = tree.shares()
    assert shares.way == "cgroup"
    assert "share the processors by the weights of their cgroups" in caplog.text
    assert (tree.service / "agent" / "cgroup.procs").read_text() == str(os.getpid())
    assert (tree.service / "cgroup.subtree_control").read_text() == "+cpu +memory"
    shares.give("line", 12345, 25)
    worker = tree.service / "worker-line"
    assert (worker / "cpu.weight").read_text() == "25"
    assert (worker / "cgroup.procs").read_text() == "12345"


def test_the_kernel_bounds_memory_a_little_above_the_limit_where_it_has_the_controller(tree: Tree) -> None:
    tree.mark()
    shares = tree.shares()
    shares.give("line", 12345, 100)
    worker = tree.service / "worker-line"
    shares.limit_memory("line", 100)  # a group without the controller has no such files
    assert sorted(path.name for path in worker.iterdir()) == ["cgroup.procs", "cpu.weight"]
    for name in ("memory.high", "memory.max"):
        (worker / name).write_text("max")
    shares.limit_memory("line", 0)
    assert (worker / "memory.max").read_text() == "max"
    shares.limit_memory("line", 100)
    assert (worker / "memory.high").read_text() == "105000000"
    assert (worker / "memory.max").read_text() == "110000000"


def test_without_the_memory_controller_the_processors_are_shared_all_the_same(tree: Tree) -> None:
    tree.mark()
    tree.fill("cpu", str(os.getpid()))
    assert tree.shares().way == "cgroup"
    assert (tree.service / "cgroup.subtree_control").read_text() == "+cpu"


def test_an_agent_that_was_put_into_its_sub_group_divides_the_one_above(tree: Tree) -> None:
    tree.mark()
    tree.fill("cpu", "")
    tree.stay("/system.slice/edgeward.service/agent")
    assert tree.shares().way == "cgroup"


def test_a_cgroup_that_nobody_gave_us_is_left_alone(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid() != 0:
        pytest.skip("a folder of one's own counts as given, and only root can make one that is not")
    with caplog.at_level(logging.INFO):
        assert tree.shares().way == "nice"
    assert "by their nice levels: no cgroup with a CPU controller is delegated" in caplog.text
    assert sorted(path.name for path in tree.service.iterdir()) == ["cgroup.controllers", "cgroup.procs"]


def test_a_cgroup_with_strangers_or_without_the_controller_is_left_alone(tree: Tree) -> None:
    tree.mark()
    tree.fill("cpu", f"{os.getpid()}\n1")
    assert tree.shares().way == "nice"
    tree.fill("memory", str(os.getpid()))
    assert tree.shares().way == "nice"
    assert not (tree.service / "agent").exists()


@pytest.mark.parametrize("group", ["/", "/no/such/group"])
def test_the_root_group_and_one_that_is_not_seen_mean_nice_levels(tree: Tree, group: str) -> None:
    tree.stay(group)
    assert tree.shares().way == "nice"


def test_a_cgroup_that_cannot_be_divided_is_told_with_its_reason(
    tree: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.mark()
    (tree.service / "agent").write_text("in the way")
    with caplog.at_level(logging.INFO):
        assert tree.shares().way == "nice"
    assert "cannot be divided" in caplog.text
