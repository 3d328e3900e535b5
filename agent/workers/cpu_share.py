"""How much of the processors each worker gets when all want more than there is; and its memory's bound.

Two ways. Where the service manager has delegated a cgroup with the CPU controller to the agent (cgroup v2),
each worker gets a group of its own with ``cpu.weight``. Everywhere else the scheduler's nice levels do it: a
level is a factor of 1.25 (sched(7)), and where the kernel groups sessions ("autogroup", same page) nice acts
inside a session only, so that the session of the worker gets the level as well.

Either way it is a share, not a limit: who is alone gets all, and nobody gets nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
from pathlib import Path

log = logging.getLogger("pipeline")

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
FACTOR_OF_A_LEVEL = 1.25
HIGHEST_NICE = 19
# The kernel takes an autogroup's level from us only ten times a second, for all of them together.
_TRIES = 80
_BETWEEN_TRIES_S = 0.1


def nice_level(weight: int) -> int:
    """The nice level that gives ``weight`` (1 to 100) of the share of a process at level 0."""
    return min(HIGHEST_NICE, round(math.log(100 / weight) / math.log(FACTOR_OF_A_LEVEL)))


class CpuShares:
    """Gives workers their shares. ``tree`` is the agent's cgroup when that was delegated, else ``None``."""

    def __init__(self, tree: Path | None = None) -> None:
        self._tree = tree
        # By pipeline: a write that waits for the kernel's pace, for which the worker need not wait.
        self._waiting: dict[str, asyncio.Task[None]] = {}

    @classmethod
    def of_this_process(cls, root: Path = CGROUPS, membership: Path = MEMBERSHIP) -> CpuShares:
        """The best way that there is here; says in the log which.

        Moves this process into the group ``agent`` of its cgroup where that was delegated: a group with
        processes of its own cannot share out anything (cgroups(7), "no internal processes").
        """
        why, tree = "no cgroup with a CPU controller is delegated to it", _own_cgroup(root, membership)
        if tree is not None and _delegated(tree):
            try:
                _divide(tree)
            except OSError as error:
                why = f"the cgroup {tree} cannot be divided: {error.strerror}"
            else:
                log.info("workers share the processors by the weights of their cgroups in %s", tree)
                return cls(tree)
        log.info("workers share the processors by their nice levels: %s", why)
        return cls()

    @property
    def way(self) -> str:
        """``cgroup`` or ``nice``."""
        return "nice" if self._tree is None else "cgroup"

    def give(self, name: str, pid: int, weight: int) -> None:
        """Give the process group ``pid`` of the pipeline ``name`` its share. Returns at once, never fails."""
        if self._tree is not None:
            try:
                _put_into_group(self._tree / f"worker-{name}", pid, weight)
            except OSError as error:
                log.warning("%s: no cgroup for its worker (%s): its nice level is set", name, error.strerror)
            else:
                return
        level = nice_level(weight)
        if level == 0:
            return  # also the level of a new session
        try:
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PGRP, pid, min(HIGHEST_NICE, own + level))
        except ProcessLookupError:
            return  # it has ended already, which is told elsewhere
        except OSError as error:
            log.warning("%s: no nice level for its worker: %s", name, error.strerror)
        self._forget(name)
        self._waiting[name] = asyncio.get_running_loop().create_task(_nice_session(name, pid, level))

    def limit_memory(self, name: str, limit_mb: float) -> None:
        """Let the kernel bound the memory of the pipeline ``name``, where it was given that to divide.

        A little over ``limit_mb`` (MB): the agent ends a worker at its limit, and can say so; the kernel is
        there for one that is faster than the agent looks.
        """
        if self._tree is None or not limit_mb:
            return
        group = self._tree / f"worker-{name}"
        most = int(limit_mb * 1e6)
        for file, value in (("memory.high", most * 105 // 100), ("memory.max", most * 11 // 10)):
            if (group / file).exists():  # only with the memory controller
                try:
                    (group / file).write_text(str(value), "ascii")
                except OSError as error:
                    log.warning("%s: no %s for its worker: %s", name, file, error.strerror)

    def ended(self, name: str) -> None:
        """The worker of ``name`` is gone, and its process number may be given to another."""
        self._forget(name)
        if self._tree is not None:
            with contextlib.suppress(OSError):  # not there, or not yet empty: the next worker uses it
                (self._tree / f"worker-{name}").rmdir()

    def _forget(self, name: str) -> None:
        task = self._waiting.pop(name, None)
        if task is not None:
            task.cancel()


async def _nice_session(name: str, pid: int, level: int) -> None:
    """Set the level of the worker's session, where the kernel has such."""
    path = Path(f"/proc/{pid}/autogroup")
    for _ in range(_TRIES):
        try:
            _write_at_once(path, str(level))
        except BlockingIOError:
            await asyncio.sleep(_BETWEEN_TRIES_S)
        except (FileNotFoundError, ProcessLookupError):
            return  # the kernel groups no sessions, or the worker has ended
        except OSError as error:
            log.warning("%s: no nice level for its worker's session: %s", name, error.strerror)
            return
        else:
            return
    log.warning("%s: no nice level for its worker's session: the kernel is busy", name)


def _write_at_once(path: Path, text: str) -> None:
    """In one call and without a buffer, which would keep what the kernel did not take."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode("ascii"))
    finally:
        os.close(file)


def _own_cgroup(root: Path, membership: Path) -> Path | None:
    """This process's cgroup of version 2, unless it is the root of all."""
    with contextlib.suppress(OSError):
        for line in membership.read_text("utf-8").splitlines():
            if line.startswith("0::/") and line != "0::/":
                tree = root / line[len("0::/") :]
                # After a restart inside one service we are in our own sub-group already.
                return tree.parent if tree.name == "agent" else tree
    return None


def _delegated(tree: Path) -> bool:
    """Whether the service manager gave us ``tree`` to divide, and the CPU controller with it."""
    try:
        controllers = (tree / "cgroup.controllers").read_text("ascii").split()
        given = tree.stat().st_uid == os.geteuid() != 0 or _marked_as_delegated(tree)
        inhabitants = set((tree / "cgroup.procs").read_text("ascii").split())
    except OSError:
        return False
    # With strangers in it, the group is not ours, whoever owns the folder: a login's, for example.
    return given and "cpu" in controllers and inhabitants <= {str(os.getpid())}


def _marked_as_delegated(tree: Path) -> bool:
    """The mark of ``Delegate=`` (systemd.resource-control(5)): root can write everywhere, and needs it."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(tree, name) == b"1":
                return True
    return False


def _divide(tree: Path) -> None:
    own = tree / "agent"
    own.mkdir(exist_ok=True)
    (own / "cgroup.procs").write_text(str(os.getpid()), "ascii")
    control = tree / "cgroup.subtree_control"
    if "memory" in (tree / "cgroup.controllers").read_text("ascii").split():
        with contextlib.suppress(OSError):  # not to be had, yet perhaps the processor alone
            control.write_text("+cpu +memory", "ascii")
            return
    control.write_text("+cpu", "ascii")


def _put_into_group(group: Path, pid: int, weight: int) -> None:
    group.mkdir(exist_ok=True)
    (group / "cpu.weight").write_text(str(weight), "ascii")
    (group / "cgroup.procs").write_text(str(pid), "ascii")
