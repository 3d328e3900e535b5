"""Frames from an author's films and pictures, evenly spread over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import av.error
import numpy as np

from runtime.authoring.child import Progress
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.ipc import StreamSpec
from runtime.source.frame import Frame
from runtime.source.libav import LibavSource, target

_PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
_FILMS = (".264", ".265", ".avi", ".h264", ".h265", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm", ".y4m")


def files(paths: Sequence[Path]) -> list[Path]:
    """The films and pictures that ``paths`` name; of a folder those that lie in it, by name.

    Raises:
        EdgewardError: ``SOURCE_MISSING`` for a path that is not there, and a folder without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            target(str(path))
            found.append(path)
            continue
        try:
            inside = sorted(
                one for one in path.iterdir() if one.suffix.lower() in _PICTURES + _FILMS and one.is_file()
            )
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.SOURCE_MISSING) from error
        if not inside:
            what, remedy = "no film and no picture in this folder", "name a folder with some, or files"
            raise EdgewardError(Code.SOURCE_MISSING, what, where=str(path), remedy=remedy)
        found += inside
    return found


def spread(paths: Sequence[Path], wanted: int, progress: Progress) -> Iterator[Frame]:
    """At most ``wanted`` frames, evenly spread over all that the files hold together; each file is read once.

    Raises:
        EdgewardError: ``SOURCE_*``.
    """
    counts = [_count(path) for path in paths]
    total = sum(counts)
    chosen = np.unique(np.linspace(0, max(0, total - 1), min(wanted, total)).round().astype(np.int64))
    first, given = 0, 0
    for path, count in zip(paths, counts, strict=True):
        here = {int(at) - first for at in chosen if first <= at < first + count}
        first += count
        if not here:
            continue
        for frame in _some(path, here):
            given += 1
            progress(f"frame {given} of {len(chosen)}: {path.name}")
            yield frame


def _count(path: Path) -> int:
    """Pictures in a file, by its packets: nothing is decoded."""
    try:
        with av.open(target(str(path)), metadata_errors="replace") as container:
            track = next(iter(container.streams.video), None)
            return sum(1 for packet in container.demux(track) if packet.size) if track is not None else 1
    except (av.error.FFmpegError, OSError, ValueError):
        return 1  # reading it for its frames says what is wrong with it


def _some(path: Path, wanted: set[int]) -> Iterator[Frame]:
    source = LibavSource(StreamSpec(name=path.name, url=str(path), pacing="every"))
    source.open()
    try:
        last = max(wanted)
        for at, frame in enumerate(source.frames()):
            if at in wanted:
                yield frame
            if at >= last:
                return
    finally:
        source.close()
