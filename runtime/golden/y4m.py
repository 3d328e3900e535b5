"""Golden frames as a ``.y4m`` file: YUV4MPEG2 (mjpegtools, yuv4mpeg(5)), planar 4:2:0, 8 bit.

Uncompressed, so that no decoder stands between a board and the planes. Range and matrix of the colours stand
in the header as extensions, which other readers leave alone: ``XCOLORRANGE``, as FFmpeg writes it, and
``XCOLORMATRIX``. Sides are even.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Literal

from runtime.errors import Code, EdgewardError, from_os_error
from runtime.source.frame import Frame, Picture

_HEADER = re.compile(
    rb"YUV4MPEG2 W([1-9][0-9]{0,4}) H([1-9][0-9]{0,4}) F1:1 Ip A1:1 C420jpeg "
    rb"XCOLORRANGE=(FULL|LIMITED) XCOLORMATRIX=(BT601|BT709)\n"
)
_MAX_HEADER = 128
# 7680x4320 and a little more: a frame is 50 MB at most, whatever a header says.
MAX_PIXELS = 1 << 25
_FRAME = b"FRAME\n"
_REMEDY = "pack the bundle again"


def header(picture: Picture) -> bytes:
    """The beginning of a file; ``picture``: of each frame, ``i420`` with even sides.

    Raises:
        ValueError: it is another.
    """
    if picture.format != "i420" or picture.width % 2 or picture.height % 2:
        raise ValueError(picture)
    colours = "FULL" if picture.full_range else "LIMITED"
    return (
        f"YUV4MPEG2 W{picture.width} H{picture.height} F1:1 Ip A1:1 C420jpeg "
        f"XCOLORRANGE={colours} XCOLORMATRIX={picture.matrix.upper()}\n"
    ).encode("ascii")


def frame(planes: Sequence[bytes]) -> tuple[bytes, ...]:
    """A frame, in pieces; ``planes``: three, without gaps between rows."""
    return (_FRAME, *planes)


def decode(stream: BinaryIO, *, where: str, first: int = 0) -> Iterator[Frame]:
    """The frames of a file, one at a time in memory; ``first`` is the index of its first one.

    Each frame is a session of its own, so that a model with a state begins anew with it.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` for a file that was not written as above;
            ``BUNDLE_UNREADABLE``.
    """
    try:
        picture = _picture(stream.readline(_MAX_HEADER), where)
        luma = picture.width * picture.height
        index = first
        while marker := stream.read(len(_FRAME)):
            data = stream.read(luma * 3 // 2)
            if marker != _FRAME or len(data) != luma * 3 // 2:
                raise _refused(f"frame {index - first} is cut short or misplaced", where)
            view = memoryview(data)
            yield Frame(
                picture=picture,
                planes=(view[:luma], view[luma : luma * 5 // 4], view[luma * 5 // 4 :]),
                strides=(picture.width, picture.width // 2, picture.width // 2),
                index=index,
                session=index,
                pts_s=None,
                arrived_ns=time.monotonic_ns(),
            )
            index += 1
    except OSError as error:
        raise from_os_error(error, where=where, fallback=Code.BUNDLE_UNREADABLE) from error


def golden_frames(
    files: Sequence[str], open_file: Callable[[str], BinaryIO], *, count: int
) -> Iterator[Frame]:
    """All golden frames of a bundle, in the order of its results.

    Args:
        files: ``Golden.frames``.
        open_file: opens one of them; it is closed here.
        count: frames in all, as the manifest says.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN``, ``BUNDLE_UNREADABLE``.
    """
    index = 0
    for name in files:
        with open_file(name) as stream:
            for frame in decode(stream, where=name, first=index):
                index += 1
                if index > count:
                    raise _refused(f"more frames than the {count} that the manifest says", name)
                yield frame
    if index != count:
        raise _refused(f"{index} frames, the manifest says {count}", ", ".join(files))


def _picture(header: bytes, where: str) -> Picture:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise _refused("not a YUV4MPEG2 file as golden frames have it", where)
    width, height = int(match[1]), int(match[2])
    if width % 2 or height % 2:
        raise _refused(f"{width}x{height} pixels, sides must be even", where)
    if width * height > MAX_PIXELS:
        raise _refused(f"frames of {width}x{height} pixels, over {MAX_PIXELS}", where)
    matrix: Literal["bt601", "bt709"] = "bt709" if match[4] == b"BT709" else "bt601"
    return Picture("i420", width, height, matrix, match[3] == b"FULL")


def _refused(what: str, where: str) -> EdgewardError:
    return EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=_REMEDY)
