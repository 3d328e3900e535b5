"""Who holds the lock of a state folder, without touching it: an agent may start at this very moment."""

from __future__ import annotations

from pathlib import Path

from agent.state_lock import LOCK_NAME


def owner(state_dir: Path) -> int | None:
    """The process id of the agent that uses the folder; None when there is none that is known of."""
    file = state_dir / LOCK_NAME
    try:
        inode, text = file.stat().st_ino, file.read_text("ascii", "replace").strip()
        held = _is_locked(inode, Path("/proc/locks").read_text("ascii"))
    except OSError:
        return None
    return int(text) if held and text.isdigit() else None


def _is_locked(inode: int, locks: str) -> bool:
    """Whether the kernel lists a lock on that file (proc_locks(5)).

    The device that stands there beside the inode is not that of stat(2) on every file system, so it is not
    compared: the process id in the file decides with it.
    """
    return any(
        fields[1:2] == ["FLOCK"] and fields[-3].rpartition(":")[2] == str(inode)
        for line in locks.splitlines()
        if len(fields := line.split()) >= 8
    )
