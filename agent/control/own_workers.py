"""Tells the agent's own workers from those who may ask it for something.

They run what others wrote, as the same user, and Landlock keeps nobody from a unix socket. What marks them is
that they can gain no privileges any more (prctl(2), ``PR_SET_NO_NEW_PRIVS``), which confinement begins with
and which whatever they start inherits. An agent of our systemd unit has that mark itself, and so may a
container in which everything has: then it is who descends from the agent, or runs in its service.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.control.claimed_socket import Peer

_OWN = Path("/proc/self")
_INIT = 1


def is_own_worker(peer: Peer) -> bool:
    """Whether ``peer`` is a confined worker of this agent, or something that one has started."""
    if peer.uid != os.geteuid() or peer.pid in {0, os.getpid()}:
        return False  # 0: it is none of this container's processes
    process = Path(f"/proc/{peer.pid}")
    try:
        if not _marked(process):
            return False
        if not _marked(_OWN) or _descends(peer.pid):
            return True
        own = _service(_OWN) if os.getppid() == _INIT else ""
        return own != "" and own == _service(process)
    except OSError:
        return True  # it has ended, and needs no answer


def _marked(process: Path) -> bool:
    lines = (process / "status").read_text("utf-8", "replace").splitlines()
    return any(line.split() == ["NoNewPrivs:", "1"] for line in lines)


def _descends(pid: int) -> bool:
    """Whether this process is among the parents of ``pid``."""
    while pid > _INIT and pid != os.getpid():
        # The name stands in brackets before, and may hold anything.
        pid = int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    return pid == os.getpid()


def _service(process: Path) -> str:
    """The unit in whose control group it is; empty where there is none."""
    for line in (process / "cgroup").read_text("utf-8", "replace").splitlines():
        group, unit, _ = line.partition(".service")
        if unit:
            return group
    return ""
