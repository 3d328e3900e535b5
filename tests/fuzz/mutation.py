"""Changes of bytes, of ustar blocks and of JSON values, so that more than the first check is reached."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

BLOCK = 512
BYTES = [b"\0", b"\xff", b"/", b"..", b".", b"\n", b"0", b"7", b"\x80", b'"', b"{}", b"\\ud800", b"ustar"]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    255,
    2**31,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63) - 1,
    0.0,
    -0.0,
    0.5,
    1e-320,
    1e308,
    1e999,
    -1e999,
    float("nan"),
    "",
    "a",
    "A",
    "../a",
    "/a",
    "a/../b",
    "model.onnx",
    "manifest.json",
    "x" * 300,
    "\ud800",
    "\0",
    "é",
    [],
    {},
    [[]],
    [0],
    [""],
    {"": None},
]


def bytes_changed(data: bytes, random: Random) -> bytes:
    """One to a few changes of any bytes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(len(changed) + 1)
        end = min(len(changed), at + random.choice((1, 1, 2, 8, 64, 512)))
        kind = random.randrange(7)
        if kind == 0 and changed:
            changed[at % len(changed)] ^= 1 << random.randrange(8)
        elif kind == 1 and changed:
            changed[at % len(changed)] = random.randrange(256)
        elif kind == 2:
            del changed[at:end]
        elif kind == 3:
            changed[at:at] = random.choice(BYTES)
        elif kind == 4:
            new = random.choice(BYTES)
            changed[at : at + len(new)] = new
        elif kind == 5:
            source = random.randrange(len(changed) + 1)
            changed[at:at] = changed[source : source + random.choice((1, 16, BLOCK))]
        else:
            del changed[at:]
            changed += random.randbytes(random.choice((0, 0, 1, 16, BLOCK)))
    return bytes(changed)


def blocks_changed(data: bytes, random: Random) -> bytes:
    """Whole blocks doubled, removed or exchanged, or a header's field changed under a right checksum."""
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    if not blocks:
        return data
    at, other = random.randrange(len(blocks)), random.randrange(len(blocks))
    kind = random.randrange(5)
    if kind == 0:
        blocks.insert(at, blocks[other])
    elif kind == 1:
        del blocks[at]
    elif kind == 2:
        blocks[at], blocks[other] = blocks[other], blocks[at]
    elif kind == 3:
        blocks[at:at] = blocks[at : at + random.randrange(1, 8)]
    else:
        headers = [place for place, block in enumerate(blocks) if block[257:262] == b"ustar"]
        if headers:
            at = random.choice(headers)
            blocks[at] = with_sum(_field_changed(blocks[at], random))
    return b"".join(blocks)


def _field_changed(header: bytes, random: Random) -> bytes:
    start, end = random.choice(
        (
            (0, 100),
            (100, 108),
            (108, 124),
            (124, 136),
            (136, 148),
            (156, 157),
            (157, 257),
            (257, 265),
            (345, 500),
        )
    )
    field = bytes_changed(header[start:end], random)[: end - start].ljust(end - start, b"\0")
    return header[:start] + field + header[end:]


def with_sum(header: bytes) -> bytes:
    """The header with a right checksum."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def json_changed(data: bytes, random: Random, inner: Callable[[str], str] | None = None) -> bytes:
    """A value or key somewhere in a document changed; bytes where it is no document.

    Args:
        data: JSON, or what was once JSON.
        random: chooses.
        inner: changes a text that holds a document of its own, such as a payload in base64.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return bytes_changed(data, random)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        document = _value_changed(document, random, inner)
    if random.randrange(8) == 0:
        return json.dumps(document, indent=random.choice((None, 1))).encode()
    return json.dumps(document, separators=(",", ":")).encode()


def _value_changed(value: Any, random: Random, inner: Callable[[str], str] | None) -> Any:
    if isinstance(value, dict | list) and value and random.randrange(6):
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        kind = random.randrange(10)
        if kind == 0:
            del value[key]
        elif kind == 1 and isinstance(value, list):
            value.insert(random.randrange(len(value) + 1), copy.deepcopy(value[key]))
        elif kind == 1:
            value[random.choice(("name", "file", "size", "x", str(key).upper()))] = copy.deepcopy(value[key])
        else:
            value[key] = _value_changed(value[key], random, inner)
        return value
    if isinstance(value, str) and random.randrange(3):
        if inner is not None and len(value) > 100:
            return inner(value)
        return bytes_changed(value.encode("utf-8", "surrogatepass"), random).decode("utf-8", "replace")
    if type(value) is int and random.randrange(2):
        return value + random.choice((-1, 1, 256, -256))
    return copy.deepcopy(random.choice(VALUES))
