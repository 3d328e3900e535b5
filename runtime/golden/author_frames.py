"""From the pictures and films that an author names to golden frames: planes that every board gets alike.

A picture that is 8-bit 4:2:0 as it is stored (H.264, H.265, most JPEG files) keeps its own planes, range and
matrix. Any other is converted here, once: by swscale as the streams of a device are, or, from BGR, by OpenCV.
An odd side loses its last column or row. What is stored turned, as phones do, is turned upright, as players
do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.bundle.manifest import MAX_GOLDEN_FRAMES
from runtime.errors import Code, EdgewardError
from runtime.golden import stored, y4m
from runtime.ipc import StreamSpec
from runtime.source.frame import Frame, Picture
from runtime.source.libav import LibavSource

MAX_BYTES = 512 << 20
_NUMBERS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([1-9][0-9]{0,8}))?)?")
_HOW = "write names and patterns like 'pictures/*.jpg', numbers of frames like 'film.mp4#0,40,80-120:10'"
Bytes = NDArray[np.uint8]


class Wanted(NamedTuple):
    """Frames of one file: its name in the folder, the numbers in their order, and which entry asks for it."""

    name: str
    numbers: tuple[int, ...]
    entry: int


class AuthorFrame(NamedTuple):
    """``source`` as ``film.mp4#40``; the three planes of an I420 picture with even sides, without gaps."""

    source: str
    picture: Picture
    planes: tuple[bytes, bytes, bytes]


def wanted(entries: Sequence[str], folder: Path, *, toml: str) -> list[Wanted]:
    """The files that ``[golden] frames`` means, in its order, those of a pattern by name; each once.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` naming the entry: it is none, or there is no such file.
    """
    found: list[Wanted] = []
    seen: set[tuple[str, int]] = set()
    for at, entry in enumerate(entries):
        where = f"{toml}: golden.frames[{at}]"
        pattern, hash_sign, numbers = entry.partition("#")
        chosen = _numbers(numbers, entry, where) if hash_sign else (0,)
        for name in _files(pattern, folder, where):
            new = tuple(number for number in chosen if (name, number) not in seen)
            seen.update((name, number) for number in new)
            if new:
                found.append(Wanted(name, new, at))
            if len(seen) > MAX_GOLDEN_FRAMES:
                raise _refused(f"more than {MAX_GOLDEN_FRAMES} frames", where, "name fewer")
    return found


def _files(pattern: str, folder: Path, where: str) -> list[str]:
    parts = Path(pattern).parts
    if not parts or Path(pattern).is_absolute() or ".." in parts or not pattern.isprintable():
        raise _refused(f"{pattern!r} is no name within the folder", where, _HOW)
    try:
        found = list(folder.glob(pattern)) if _is_pattern(pattern) else [folder / pattern]
        files = [path for path in found if path.is_file() and _is_shown(path, folder, pattern)]
        outside = [path for path in files if not path.resolve().is_relative_to(folder.resolve())]
    except (OSError, ValueError) as error:
        # Of a name that is too long, of "**.jpg".
        reason = error.strerror if isinstance(error, OSError) else error
        raise _refused(f"{pattern[:80]!r} is no name or pattern: {reason}", where, _HOW) from error
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    if not names:
        raise _refused(f"no file {pattern!r}", where, "check the name; it is relative to bundle.toml")
    for path in outside:
        name = path.relative_to(folder).as_posix()
        raise _refused(f"{name!r} leads out of the folder", where, "copy the file into the folder")
    for name in names:
        if not name.isprintable():
            raise _refused(f"the file name {name!r} is not readable text", where, "name the file otherwise")
    return names


def _is_pattern(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _is_shown(path: Path, folder: Path, pattern: str) -> bool:
    """A pattern does not mean files with a dot in front, which file managers leave behind, as in shells."""
    asked = any(part.startswith(".") for part in Path(pattern).parts)
    return asked or not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _numbers(text: str, entry: str, where: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        match = _NUMBERS.fullmatch(part.strip(" "))
        if match is None:
            raise _refused(f"{entry!r} has no frame numbers behind '#'", where, _HOW)
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        numbers = range(first, last + 1, step)
        if not numbers or len(numbers) > MAX_GOLDEN_FRAMES:
            raise _refused(f"{part!r} names {len(numbers)} frames", where, "correct the range")
        found += numbers
    return tuple(dict.fromkeys(found))


def decoded(files: Sequence[Wanted], folder: Path, *, toml: str) -> Iterator[AuthorFrame]:
    """The frames, file by file, those of a film in the film's order.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` for a file that cannot be decoded, a film without that frame, and
            frames that are too many bytes.
    """
    total = 0
    for each in files:
        where = f"{toml}: golden.frames[{each.entry}]"
        numbers = set(each.numbers)
        last = -1
        quarters = stored.quarter_turns(folder / each.name, f"{each.name!r}", where)
        for frame in _frames(folder / each.name, each.name, max(numbers), where):
            last = frame.index
            if last not in numbers:
                continue
            numbers.discard(last)
            name = each.name if each.numbers == (0,) else f"{each.name}#{frame.index}"
            picture, planes = turned(*i420(frame, where=f"{where}: {name}"), quarters)
            total += sum(map(len, planes))
            if total > MAX_BYTES:
                what = f"the frames are more than {MAX_BYTES >> 20} MiB, uncompressed as they travel"
                raise _refused(what, where, "name fewer or smaller ones")
            yield AuthorFrame(name, picture, planes)
        if numbers:
            raise _missing(each.name, min(numbers), last, where)


def _missing(name: str, number: int, last: int, where: str) -> EdgewardError:
    if last < 0:
        what = f"{name!r} has no picture that can be decoded: it is damaged, cut short, or too large"
        return _refused(what, where, "use pictures and films that a player shows")
    what = f"{name!r} has no sound frame {number}, only frames 0 to {last}"
    return _refused(what, where, "frames are counted from 0; look at the film with a player")


def _frames(path: Path, name: str, last: int, where: str) -> Iterator[Frame]:
    source = LibavSource(StreamSpec(name="golden", url=str(path.absolute())))
    try:
        source.open()
        for frame in source.frames():
            if frame.index > last:
                return
            yield frame
    except EdgewardError as error:
        what = f"{name!r} cannot be decoded: {error.what}"
        raise _refused(what, where, "use pictures and films that a player shows") from error
    finally:
        source.close()


def i420(frame: Frame, *, where: str) -> tuple[Picture, tuple[bytes, bytes, bytes]]:
    """A frame as I420 with even sides: its picture and its planes.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` when it is smaller than two pixels, or larger than 8K.
    """
    picture = frame.picture
    width, height = picture.width & ~1, picture.height & ~1
    if not width or not height:
        raise _refused(f"a picture of {picture.width}x{picture.height} pixels", where, "use a larger one")
    if width * height > y4m.MAX_PIXELS:
        what = f"a picture of {picture.width}x{picture.height} pixels, over {y4m.MAX_PIXELS} in all"
        raise _refused(what, where, "use a smaller one, as large as a camera's")
    even = picture._replace(format="i420", width=width, height=height)
    if picture.format == "bgr24":
        rows = _rows(frame, 0, picture.height, picture.width * 3)
        bgr = np.ascontiguousarray(rows.reshape(picture.height, picture.width, 3)[:height, :width])
        flat = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8).reshape(-1)
        luma, chroma = width * height, width * height // 4
        parts = flat[:luma], flat[luma : luma + chroma], flat[luma + chroma :]
        # What OpenCV makes of BGR is BT.601 in limited range.
        return even._replace(matrix="bt601", full_range=False), _three(*parts)
    luma_rows = _rows(frame, 0, height, width)
    if picture.format == "nv12":
        both = _rows(frame, 1, height // 2, width)
        return even, _three(luma_rows, both[:, ::2], both[:, 1::2])
    return even, _three(luma_rows, *(_rows(frame, at, height // 2, width // 2) for at in (1, 2)))


def turned(
    picture: Picture, planes: tuple[bytes, bytes, bytes], quarters: int
) -> tuple[Picture, tuple[bytes, bytes, bytes]]:
    """An I420 picture turned anticlockwise by ``quarters`` of a full turn."""
    if not quarters:
        return picture, planes
    sizes = [(picture.height >> half, picture.width >> half) for half in (0, 1, 1)]
    y, cb, cr = (
        np.rot90(np.frombuffer(plane, np.uint8).reshape(size), quarters)
        for plane, size in zip(planes, sizes, strict=True)
    )
    height, width = y.shape
    return picture._replace(width=width, height=height), _three(y, cb, cr)


def _rows(frame: Frame, at: int, height: int, width: int) -> Bytes:
    """The first ``width`` bytes of the first ``height`` rows of a plane."""
    flat = np.frombuffer(memoryview(frame.planes[at]).cast("B"), np.uint8)
    stride = frame.strides[at]
    return np.lib.stride_tricks.as_strided(flat, (height, width), (stride, 1), writeable=False)


def _three(luma: Bytes, cb: Bytes, cr: Bytes) -> tuple[bytes, bytes, bytes]:
    return luma.tobytes(), cb.tobytes(), cr.tobytes()


def _refused(what: str, where: str, remedy: str) -> EdgewardError:
    return EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=remedy)
