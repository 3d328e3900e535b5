"""Notices that a file is another one, or has other bytes or rights, without reading it."""

from __future__ import annotations

from pathlib import Path


def mark(path: Path) -> object:
    """What changes when the file does; ``None`` when there is none, or it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode, status.st_uid
