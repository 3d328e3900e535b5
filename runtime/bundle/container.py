"""The ``.ewb`` container: writes it reproducibly, reads it strictly in one pass.

An uncompressed ustar archive of regular files, one header form (``runtime.bundle.ustar``), data padded
with zero bytes to whole blocks, exactly two zero blocks at the end and nothing behind them. The reader
holds at most one chunk in memory and never seeks.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from runtime.bundle.limits import FORMAT, MAX_BYTES, Limits
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME
from runtime.bundle.regular_file import Unchanged
from runtime.bundle.ustar import BLOCK, Member, decode_header, encode_header, padded
from runtime.errors import Code, EdgewardError, ExitStatus

CHUNK = 1 << 17
END = bytes(2 * BLOCK)
MAX_SIGNATURE = 1 << 20
MAX_MANIFEST = 4 << 20
# What an author's files may need in an archive with their headers: the rest is for what stands before them.
MAX_FILES_BYTES = MAX_BYTES - MAX_SIGNATURE - MAX_MANIFEST - 4 * BLOCK
_CUT_SHORT = "copy the bundle again: it was cut short"
_GET_AGAIN = "get the bundle again"
_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip file",
    b"PK\x05\x06": "a zip file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\xfd7zXZ\x00": "an xz file",
    b"BZh": "a bzip2 file",
    b"hsqs": "a SquashFS image",
    b"\x7fELF": "a program",
}


def _told(count: int) -> str:
    return f"{count >> 30} GiB" if count % (1 << 30) == 0 else f"{count} bytes"


class Output(Protocol):
    """Where a ``Writer`` writes to."""

    def write(self, data: bytes, /) -> int:
        """Append ``data``."""


class Writer:
    """Writes members one after the other; ``finish`` ends the archive."""

    def __init__(self, stream: Output) -> None:
        self._stream = stream
        self._offset = 0

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Append one file.

        Raises:
            EdgewardError: ``BUNDLE_TOO_LARGE`` when the archive grows over what a ``Reader`` takes.
            ValueError: the name does not fit, or ``chunks`` are not ``size`` bytes together.
        """
        end = self._offset + BLOCK + size
        if end > MAX_BYTES:
            what, remedy = f"the bundle would have more than {_told(MAX_BYTES)}", "use a smaller model"
            raise EdgewardError(Code.BUNDLE_TOO_LARGE, what, where=name, remedy=remedy)
        self._offset = padded(end)
        self._stream.write(encode_header(name, size))
        written = 0
        for chunk in chunks:
            written += len(chunk)
            if written > size:
                break
            self._stream.write(chunk)
        if written != size:
            raise ValueError(f"{name}: {written} bytes came instead of {size}")
        self._stream.write(bytes(padded(size) - size))

    def finish(self) -> None:
        """Write the two zero blocks."""
        self._stream.write(END)


class Readable(Protocol):
    """Where a ``Reader`` reads from: a file, a pipe, a socket's file. It need not seek."""

    def read(self, count: int, /) -> bytes | None:
        """At least one and at most ``count`` bytes; none at the end."""


class Reader:
    """Reads members one after the other: ``member``, then all of its ``chunks``, then the next.

    Args:
        stream: at the archive's first byte.
        where: the name of the bundle, for errors.
        size: how many bytes the archive has; ``None`` when nobody knows before it ends.
        limits: how large it may be.
    """

    def __init__(
        self, stream: Readable, *, where: str, size: int | None = None, limits: Limits = FORMAT
    ) -> None:
        self.where = where
        self.size = size
        self.limits = limits
        self.offset = 0
        self._stream = stream
        self._watch = Unchanged(stream)
        self._members = 0
        self._open: Member | None = None

    def _refuse(self, code: Code, what: str, remedy: str) -> EdgewardError:
        return EdgewardError(code, what, where=self.where, remedy=remedy)

    @contextmanager
    def naming_changes(self) -> Iterator[None]:
        """Whatever is refused in the block of a file that changed meanwhile is refused for that.

        Raises:
            EdgewardError: ``BUNDLE_CHANGED``, or the block's own.
        """
        try:
            yield
        except EdgewardError as error:
            refused = error.code.exit_status is ExitStatus.BUNDLE_REFUSED
            if refused and (change := self._watch.change()):
                raise self._changed(change) from error
            raise

    def _changed(self, change: str) -> EdgewardError:
        what = f"the bundle changed while it was read: {change}"
        return self._refuse(Code.BUNDLE_CHANGED, what, "wait until it is written, then try again")

    def _some(self, count: int) -> bytes:
        try:
            data = self._stream.read(count)
            if data is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        except OSError as error:
            raise self._broken(error) from error
        self.offset += len(data)
        return data

    def _fill(self, count: int) -> bytes:
        """The next ``count`` bytes, or the fewer that are left."""
        data = self._some(count) if count else b""
        if len(data) == count or not data:
            return data
        parts = [data]
        count -= len(data)
        while count and (data := self._some(count)):
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def _broken(self, error: OSError) -> EdgewardError:
        reason = (error.strerror or str(error)).lower()
        what = f"reading it failed after {self.offset} bytes: {reason}"
        return self._refuse(Code.BUNDLE_READ_ERROR, what, "check the stick, disk or link that it comes from")

    def _read(self, count: int) -> bytes:
        data = self._fill(count)
        if len(data) != count:
            what = f"the bundle ends early, after {self.offset} bytes"
            raise self._refuse(Code.BUNDLE_TRUNCATED, what, _CUT_SHORT)
        return data

    def member(self) -> Member | None:
        """The next file; ``None`` once the end was reached and nothing lies behind it.

        Raises:
            EdgewardError: ``BUNDLE_*``: as ``decode_header``, and ``BUNDLE_FORMAT``,
                ``BUNDLE_OTHER_FORMAT``, ``BUNDLE_TRUNCATED``, ``BUNDLE_TRAILING``, ``BUNDLE_TOO_LARGE``,
                ``BUNDLE_TOO_MANY_FILES``, ``BUNDLE_READ_ERROR``, ``BUNDLE_CHANGED``.
        """
        if self._open is not None:
            raise RuntimeError(f"{self._open.name} was not read to its end")
        block = self._read(BLOCK) if self.offset else self._first_block()
        if block == bytes(BLOCK):
            self._check_end()
            return None
        member = decode_header(block, where=self.where, path_limit=self.limits.path)
        self._members += 1
        self._check_count(self._members)
        self._check_total(
            self.offset + member.size, f"{member.name!r} with {member.size} bytes and all before"
        )
        self._open = member
        return member

    def _first_block(self) -> bytes:
        """Say what was given instead of a bundle, before the first header is called broken."""
        start = self._fill(BLOCK)
        if not start:
            raise self._refuse(Code.BUNDLE_TRUNCATED, "the file is empty", "copy or pack the bundle again")
        for magic, kind in _OTHER_FORMATS.items():
            if start.startswith(magic):
                what = f"this is {kind}, not a bundle"
                raise self._refuse(Code.BUNDLE_OTHER_FORMAT, what, "give the .ewb file itself")
        names = (SIGNATURE_NAME.encode(), MANIFEST_NAME.encode())
        begun = any(start[: len(name)] == name[: len(start)] for name in names)
        if len(start) < BLOCK and begun:
            what = f"the bundle ends early, after {len(start)} bytes"
            raise self._refuse(Code.BUNDLE_TRUNCATED, what, _CUT_SHORT)
        if start[257:262] != b"ustar":
            remedy = "give a file that 'edgeward bundle pack' made"
            raise self._refuse(Code.BUNDLE_FORMAT, "this is not a bundle", remedy)
        return start

    def _check_end(self) -> None:
        if self._read(BLOCK) != bytes(BLOCK):
            raise self._refuse(Code.BUNDLE_FORMAT, "the archive's end mark is damaged", _GET_AGAIN)
        if self._fill(1):
            what = "there is data behind the archive's end"
            raise self._refuse(Code.BUNDLE_TRAILING, what, _GET_AGAIN)
        if change := self._watch.change():
            raise self._changed(change)

    def chunks(self) -> Iterator[bytes]:
        """The current member's data, checked to be padded with zero bytes.

        Raises:
            EdgewardError: ``BUNDLE_TRUNCATED``, ``BUNDLE_READ_ERROR``; ``BUNDLE_FORMAT`` for the padding.
        """
        member = self._open
        if member is None:
            raise RuntimeError("no member is open")
        left = member.size
        while left:
            data = self._read(min(CHUNK, left))
            left -= len(data)
            yield data
        padding = padded(member.size) - member.size
        if self._read(padding) != bytes(padding):
            what = f"the padding behind {member.name!r} is not zero"
            raise self._refuse(Code.BUNDLE_FORMAT, what, _GET_AGAIN)
        self._open = None

    def skip(self) -> None:
        """Read the current member's data and forget it.

        Raises:
            EdgewardError: as ``chunks``.
        """
        for _ in self.chunks():
            pass

    def small_member(self, name: str, limit: int) -> bytes:
        """The whole next member, which must have that name and at most ``limit`` bytes.

        Raises:
            EdgewardError: as ``member`` and ``rest_of``; ``BUNDLE_UNSIGNED`` when the manifest comes first
                and no signature behind it; ``BUNDLE_ORDER`` or ``BUNDLE_MISSING_FILE`` for another file.
        """
        member = self.member()
        if member is None:
            raise self._refuse(Code.BUNDLE_MISSING_FILE, f"{name} is missing", "pack the bundle again")
        if member.name == name:
            return self.rest_of(member, limit)
        if name == SIGNATURE_NAME and member.name == MANIFEST_NAME:
            self.rest_of(member, MAX_MANIFEST)
            behind = self.member()
            if behind is None or behind.name != SIGNATURE_NAME:
                remedy = "sign it with 'edgeward bundle sign'"
                raise self._refuse(Code.BUNDLE_UNSIGNED, "the bundle is not signed", remedy)
        what = f"{member.name!r} comes where {name} belongs"
        raise self._refuse(Code.BUNDLE_ORDER, what, "pack the bundle again")

    def rest_of(self, member: Member, limit: int) -> bytes:
        """All bytes of ``member``, which was just returned, when they are at most ``limit``.

        Raises:
            EdgewardError: as ``chunks``; ``BUNDLE_TOO_LARGE``.
        """
        if member.size > limit:
            what = f"{member.name} has {member.size} bytes, over {limit}"
            raise self._refuse(Code.BUNDLE_TOO_LARGE, what, "pack the bundle again")
        return b"".join(self.chunks())

    def expected_size(self, sizes: Sequence[int]) -> int:
        """What the archive must have in bytes when from here on files of these sizes come, and the end.

        Raises:
            EdgewardError: ``BUNDLE_TOO_LARGE`` or ``BUNDLE_TOO_MANY_FILES`` when that is over the limits.
        """
        self._check_count(self._members + len(sizes))
        size = self.offset + sum(BLOCK + padded(size) for size in sizes)
        # Padding behind the last file does not count.
        self._check_total(size - BLOCK + 1, "the bundle's files")
        return size + len(END)

    def _check_count(self, members: int) -> None:
        if members > self.limits.members:
            what = f"more than {self.limits.members} files"
            raise self._refuse(Code.BUNDLE_TOO_MANY_FILES, what, "put fewer files into the bundle")

    def _check_total(self, size: int, what: str) -> None:
        if size > self.limits.total:
            what = f"{what} need more than {_told(self.limits.total)}"
            raise self._refuse(Code.BUNDLE_TOO_LARGE, what, "use a smaller model")
