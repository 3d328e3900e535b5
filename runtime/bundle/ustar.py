"""The header block of a ustar member, in the one form that edgeward writes and reads.

A header has exactly one valid form for a name and a size, so reading is: take name and size out, build
the header again, and refuse the block when a single byte differs. That covers every byte of it. What is
looked at before only finds the best name for what is wrong.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from runtime.bundle.limits import MAX_PATH
from runtime.bundle.member_name import check_name
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
    b"1": (Code.BUNDLE_MEMBER_HARDLINK, "a hard link"),
    b"2": (Code.BUNDLE_MEMBER_SYMLINK, "a symbolic link"),
    b"3": (Code.BUNDLE_MEMBER_DEVICE, "a character device"),
    b"4": (Code.BUNDLE_MEMBER_DEVICE, "a block device"),
    b"5": (Code.BUNDLE_MEMBER_FOLDER, "a folder"),
    b"6": (Code.BUNDLE_MEMBER_FIFO, "a FIFO"),
    b"x": (Code.BUNDLE_PAX_HEADER, "a PAX header"),
    b"g": (Code.BUNDLE_PAX_HEADER, "a global PAX header"),
    b"L": (Code.BUNDLE_GNU_HEADER, "a GNU long name"),
    b"K": (Code.BUNDLE_GNU_HEADER, "a GNU long link"),
    b"D": (Code.BUNDLE_GNU_HEADER, "a GNU folder listing"),
    b"M": (Code.BUNDLE_GNU_HEADER, "the rest of a file from another GNU volume"),
    b"V": (Code.BUNDLE_GNU_HEADER, "a GNU volume name"),
    b"S": (Code.BUNDLE_MEMBER_SPARSE, "a GNU sparse file"),
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


def decode_header(block: bytes, *, where: str, path_limit: int = MAX_PATH) -> Member:
    """Name and size of a header block that is, byte for byte, what ``encode_header`` makes of them.

    Args:
        block: 512 bytes.
        where: the bundle's name, for errors.
        path_limit: letters that a name may have.

    Raises:
        EdgewardError: ``BUNDLE_MEMBER_*``, ``BUNDLE_PAX_HEADER`` or ``BUNDLE_GNU_HEADER`` for what is no
            plain file, ``BUNDLE_NAME_*``, ``BUNDLE_SIZE_FIELD``, ``BUNDLE_MODE``; else ``BUNDLE_FORMAT``,
            naming the first field that is wrong.
    """

    def refuse(code: Code, what: str) -> EdgewardError:
        remedy = "the bundle is damaged, or was not made by 'edgeward bundle pack': get it again"
        return EdgewardError(code, what, where=where, remedy=remedy)

    if block[257:262] != b"ustar":
        raise refuse(Code.BUNDLE_FORMAT, "an archive header has no ustar mark")
    if not _sum_is_right(block):
        raise refuse(Code.BUNDLE_FORMAT, "an archive header is damaged: its checksum is wrong")
    kind = block[156:157]
    if kind != b"0":
        code, named = _KINDS.get(kind, (Code.BUNDLE_FORMAT, f"of the unknown type {kind!r}"))
        raise refuse(code, f"an archive header is {named}, not a file")
    if not _SIZE.fullmatch(block[124:136]):
        raise refuse(Code.BUNDLE_SIZE_FIELD, "an archive header has a size that is not eleven octal digits")
    if block[257:265] == b"ustar  \0":
        raise refuse(Code.BUNDLE_GNU_HEADER, "an archive header is in GNU tar's own format")
    prefix, rest = (block[start:end].split(b"\0", 1)[0] for start, end in ((345, 500), (0, 100)))
    name = (prefix + b"/" + rest if prefix else rest).decode("utf-8", "surrogateescape")
    check_name(name, where=where, limit=path_limit)
    member = Member(name, int(block[124:135], 8))
    try:
        expected = encode_header(*member)
    except ValueError as error:
        raise refuse(Code.BUNDLE_FORMAT, f"the archive header of {name!r} is split wrongly") from error
    if block != expected:
        wrong = [field for field, start, end in _FIELDS if block[start:end] != expected[start:end]]
        code = Code.BUNDLE_MODE if "mode" in wrong else Code.BUNDLE_FORMAT
        # The sum was right for these bytes: the checksum itself is wrong only where nothing else is.
        named = next((field for field in wrong if field != "checksum"), "checksum")
        raise refuse(code, f"the archive header of {name!r} has a wrong {named}")
    return member


def _sum_is_right(block: bytes) -> bool:
    """Whether the checksum, in whatever notation, is the header's: if not, it was damaged on its way."""
    digits = block[148:156].strip(b" \0")
    found = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    return re.fullmatch(rb"[0-7]{1,7}", digits) is not None and int(digits, 8) == found
