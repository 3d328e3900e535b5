"""The ``.ewb`` container: writes it reproducibly, reads it strictly in one pass.

An uncompressed ustar archive of regular files, one header form (``runtime.bundle.ustar``), data padded
with zero bytes to whole blocks, exactly two zero blocks at the end and nothing behind them. The reader
holds at most one chunk in memory and never seeks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import Protocol

from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME
from runtime.bundle.ustar import BLOCK, Member, decode_header, encode_header, padded
from runtime.errors import Code, EdgewardError, from_os_error

CHUNK = 1 << 20
END = bytes(2 * BLOCK)
MAX_MEMBERS = 1002
MAX_BYTES = 8 << 30
MAX_SIGNATURE = 1 << 20
MAX_MANIFEST = 4 << 20
# What an author's files may need in an archive with their headers: the rest is for what stands before them.
MAX_FILES_BYTES = MAX_BYTES - MAX_SIGNATURE - MAX_MANIFEST - 4 * BLOCK
_CUT_SHORT = "copy the bundle again: it was cut short"
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
            EdgewardError: ``BUNDLE_FORMAT`` when the archive grows over what a ``Reader`` takes.
            ValueError: the name does not fit, or ``chunks`` are not ``size`` bytes together.
        """
        end = self._offset + BLOCK + size
        if end > MAX_BYTES:
            what, remedy = f"the bundle would have more than {MAX_BYTES >> 30} GiB", "use a smaller model"
            raise EdgewardError(Code.BUNDLE_FORMAT, what, where=name, remedy=remedy)
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


class Reader:
    """Reads members one after the other: ``member``, then all of its ``chunks``, then the next.

    Args:
        stream: at the archive's first byte; its ``read`` gives all that was asked for, or the rest.
        size: how many bytes the archive has.
        where: the name of the bundle, for errors.
    """

    def __init__(self, stream: BufferedReader, *, size: int, where: str) -> None:
        self.where = where
        self.size = size
        self.offset = 0
        self._stream = stream
        self._members = 0
        self._open: Member | None = None

    def _refuse(self, what: str, remedy: str) -> EdgewardError:
        return EdgewardError(Code.BUNDLE_FORMAT, what, where=self.where, remedy=remedy)

    def _read(self, count: int) -> bytes:
        try:
            data = self._stream.read(count)
        except OSError as error:
            raise from_os_error(error, where=self.where, fallback=Code.BUNDLE_UNREADABLE) from error
        if len(data) != count:
            raise self._refuse(f"the bundle ends early, after {self.offset + len(data)} bytes", _CUT_SHORT)
        self.offset += count
        return data

    def member(self) -> Member | None:
        """The next file; ``None`` once the end was reached and nothing lies behind it.

        Raises:
            EdgewardError: ``BUNDLE_FORMAT`` or ``BUNDLE_UNREADABLE``.
        """
        if self._open is not None:
            raise RuntimeError(f"{self._open.name} was not read to its end")
        if self.offset == 0:
            self._check_start()
        block = self._read(BLOCK)
        if not any(block):
            self._check_end()
            return None
        member = decode_header(block, where=self.where)
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise self._refuse(f"more than {MAX_MEMBERS} files", "put fewer files into the bundle")
        if self.offset + member.size > MAX_BYTES:
            raise self._refuse(f"more than {MAX_BYTES >> 30} GiB", "use a smaller model")
        self._open = member
        return member

    def _check_start(self) -> None:
        """Say what was given instead of a bundle, before the first header is called broken."""
        if self.size == 0:
            raise self._refuse("the file is empty", "copy or pack the bundle again")
        start = self._peek()
        for magic, kind in _OTHER_FORMATS.items():
            if start.startswith(magic):
                raise self._refuse(f"this is {kind}, not a bundle", "give the .ewb file itself")
        cut = len(start) < BLOCK and start.startswith((SIGNATURE_NAME.encode(), MANIFEST_NAME.encode()))
        if start[257:262] != b"ustar" and not cut:
            raise self._refuse("this is not a bundle", "give a file that 'edgeward bundle pack' made")

    def _peek(self) -> bytes:
        try:
            return self._stream.peek(BLOCK)[:BLOCK]
        except OSError as error:
            raise from_os_error(error, where=self.where, fallback=Code.BUNDLE_UNREADABLE) from error

    def _check_end(self) -> None:
        if any(self._read(BLOCK)):
            raise self._refuse("the archive's end mark is damaged", "get the bundle again")
        if self.offset != self.size or self._stream.read(1):
            raise self._refuse("there is data behind the archive's end", "get the bundle again")

    def chunks(self) -> Iterator[bytes]:
        """The current member's data, checked to be padded with zero bytes.

        Raises:
            EdgewardError: ``BUNDLE_FORMAT`` or ``BUNDLE_UNREADABLE``.
        """
        member = self._open
        if member is None:
            raise RuntimeError("no member is open")
        left = member.size
        while left:
            data = self._read(min(CHUNK, left))
            left -= len(data)
            yield data
        if any(self._read(padded(member.size) - member.size)):
            raise self._refuse(f"the padding behind {member.name!r} is not zero", "get the bundle again")
        self._open = None

    def small_member(self, name: str, limit: int) -> bytes:
        """The whole next member, which must have that name and at most ``limit`` bytes.

        Raises:
            EdgewardError: ``BUNDLE_FORMAT``, ``BUNDLE_UNREADABLE``; ``BUNDLE_SIGNATURE`` when the
                manifest comes where the signature belongs.
        """
        member = self.member()
        if member is None:
            raise self._refuse(f"{name} is missing", "pack the bundle again")
        if member.name != name:
            if name == SIGNATURE_NAME and member.name == MANIFEST_NAME:
                raise EdgewardError(
                    Code.BUNDLE_SIGNATURE,
                    "the bundle is not signed",
                    where=self.where,
                    remedy="sign it with 'edgeward bundle sign'",
                )
            raise self._refuse(f"{member.name!r} comes where {name} belongs", "pack the bundle again")
        return self.rest_of(member, limit)

    def rest_of(self, member: Member, limit: int) -> bytes:
        """All bytes of ``member``, which was just returned, when they are at most ``limit``.

        Raises:
            EdgewardError: ``BUNDLE_FORMAT`` or ``BUNDLE_UNREADABLE``.
        """
        if member.size > limit:
            what = f"{member.name} has {member.size} bytes, over {limit}"
            raise self._refuse(what, "pack the bundle again")
        return b"".join(self.chunks())

    def expect_files(self, sizes: Iterable[int]) -> None:
        """Compare the archive's size with what files of these sizes, and no more, would need from here.

        Raises:
            EdgewardError: ``BUNDLE_FORMAT`` when the bundle was cut short or has data at its end.
        """
        expected = self.offset + sum(BLOCK + padded(size) for size in sizes) + len(END)
        if self.size < expected:
            raise self._refuse(f"the bundle has {self.size} bytes instead of {expected}", _CUT_SHORT)
        if self.size > expected:
            more = self.size - expected
            raise self._refuse(f"there are {more} bytes more than the manifest lists", "get the bundle again")
