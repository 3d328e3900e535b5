"""The header block of a ustar member, in the one form that edgeward writes and reads.

A header has exactly one valid form for a name and a size, so reading is: take name and size out, build
the header again, and refuse the block when a single byte differs. That covers every byte of it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from runtime.errors import Code, EdgewardError

BLOCK = 512
MAX_SIZE = 8**11 - 1
_NAME, _PREFIX = 100, 155
_FIELDS = (
    ("name", 0, 100),
    ("mode", 100, 108),
    ("uid", 108, 116),
    ("gid", 116, 124),
    ("size", 124, 136),
    ("mtime", 136, 148),
    ("checksum", 148, 156),
    ("type", 156, 157),
    ("link name", 157, 257),
    ("magic", 257, 263),
    ("version", 263, 265),
    ("user name", 265, 297),
    ("group name", 297, 329),
    ("device number", 329, 345),
    ("name prefix", 345, 500),
    ("padding", 500, 512),
)
_SIZE = re.compile(rb"[0-7]{11}\x00")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a FIFO",
    b"x": "a PAX header",
    b"g": "a global PAX header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a GNU sparse file",
}


class Member(NamedTuple):
    """Name and size of one file in the archive."""

    name: str
    size: int


def padded(size: int) -> int:
    """``size`` rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _split(name: str) -> tuple[str, str]:
    """Prefix and rest of a name, cut at the first slash that makes the rest fit, as POSIX lets one."""
    if len(name) <= _NAME:
        return "", name
    cut = name.find("/", len(name) - _NAME - 1)
    if not 0 < cut <= _PREFIX:
        raise ValueError(f"the name {name!r} does not fit into an archive header: a part of it is too long")
    return name[:cut], name[cut + 1 :]


def encode_header(name: str, size: int) -> bytes:
    """The header block of a regular file: mode 0644, owner 0, time 0.

    Raises:
        ValueError: the name is not ASCII or too long, or the size is over 8 GiB.
    """
    if not name or not name.isascii() or "\0" in name:
        raise ValueError(f"the name {name!r} is not plain ASCII")
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"{name}: {size} bytes do not fit into an archive header")
    prefix, rest = _split(name)
    head = rest.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
    head += b"%011o\0" % size + b"%011o\0" % 0
    tail = b"0" + bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 16)
    tail += prefix.encode().ljust(155, b"\0") + bytes(12)
    checksum = sum(head) + sum(tail) + 8 * ord(" ")
    return head + b"%06o\0 " % checksum + tail


def _text(block: bytes, start: int, end: int) -> str:
    return block[start:end].split(b"\0", 1)[0].decode("ascii")


def decode_header(block: bytes, *, where: str) -> Member:
    """Name and size of a header block that is, byte for byte, what ``encode_header`` makes of them.

    Raises:
        EdgewardError: ``BUNDLE_FORMAT``, naming the first field that is wrong.
    """

    def refuse(what: str) -> EdgewardError:
        remedy = "the bundle is damaged, or was not made by 'edgeward bundle pack': get it again"
        return EdgewardError(Code.BUNDLE_FORMAT, what, where=where, remedy=remedy)

    if block[257:263] != b"ustar\0":
        raise refuse("an archive header has no ustar mark")
    kind = block[156:157]
    if kind != b"0":
        raise refuse(f"an archive header is {_KINDS.get(kind, f'of the unknown type {kind!r}')}, not a file")
    if not _SIZE.fullmatch(block[124:136]):
        raise refuse("an archive header has a size that is not octal")
    try:
        prefix, rest = _text(block, 345, 500), _text(block, 0, 100)
        member = Member(f"{prefix}/{rest}" if prefix else rest, int(block[124:135], 8))
        expected = encode_header(*member)
    except ValueError as error:
        raise refuse("an archive header has a file name that is not allowed") from error
    if block != expected:
        wrong = [name for name, start, end in _FIELDS if block[start:end] != expected[start:end]]
        # A byte that was changed anywhere shows in the checksum too; the other field says more.
        named = next((name for name in wrong if name != "checksum"), "checksum")
        raise refuse(f"the archive header of {member.name!r} has a wrong {named}")
    return member
