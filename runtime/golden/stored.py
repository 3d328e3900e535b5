"""What a file tells beside its pictures: how they are to be turned, and whether it is a picture at all."""

from __future__ import annotations

from pathlib import Path

import av
import av.error

from runtime.errors import Code, EdgewardError, from_os_error

# libav makes pictures of text, and plays lists of other files, which would then be read too.
_NOT_PICTURES = {"tty", "bin", "xbin", "adf", "idf", "concat", "hls", "dash", "imf", "sdp"}
_JPEG, _SCAN, _END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
_MAX_JPEG = 256 << 20


def quarter_turns(path: Path, name: str, where: str) -> int:
    """By how many quarters of a turn, anticlockwise, its pictures are to be turned; 0 where it cannot tell.

    Args:
        path: of the file.
        name: of the file, for errors.
        where: names it in ``bundle.toml``, for errors.

    Raises:
        EdgewardError: ``BUNDLE_UNREADABLE``; ``BUNDLE_GOLDEN`` for a text or a list of other files, a JPEG
            file that is cut short, and pictures that are to be turned by another angle.
    """
    _must_end(path, name, where)
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            kind = container.format.name
            if kind in _NOT_PICTURES:
                remedy = "name files with pictures"
                raise _refused(f"{name} is no picture or film, but {kind}", where, remedy)
            if not container.streams.video:
                return 0
            degrees = next((frame.rotation for frame in container.decode(video=0)), 0)
    except (av.error.FFmpegError, OSError, ValueError):
        # What is wrong with it is found out, and told, where it is decoded.
        return 0
    if degrees % 90:
        what = f"{name} is to be turned by {degrees} degrees"
        raise _refused(what, where, "save it upright")
    return degrees // 90 % 4


def _must_end(path: Path, name: str, where: str) -> None:
    """Refuse a JPEG file without its end: libav fills up what is missing of a JPEG file with grey."""
    try:
        with path.open("rb") as stream:
            if stream.read(len(_JPEG)) != _JPEG or path.stat().st_size > _MAX_JPEG:
                return
            data = stream.read()
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_UNREADABLE) from error
    # Pictures within it, for previews, have such marks too, before its own scan or behind its end.
    if data.rfind(_END) < data.rfind(_SCAN):
        raise _refused(f"{name} is cut short", where, "copy the file again")


def _refused(what: str, where: str, remedy: str) -> EdgewardError:
    return EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=remedy)
