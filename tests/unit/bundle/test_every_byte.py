"""The promise of the format: no byte of a bundle can change without the bundle being refused."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.bundle import archive
from runtime.bundle.archive import Discard
from runtime.bundle.container import Reader
from runtime.bundle.keys import TrustedKeys, load_trusted
from runtime.errors import Code, EdgewardError

from .conftest import KeyPair

pytestmark = pytest.mark.unit

REFUSED = {Code.BUNDLE_FORMAT, Code.BUNDLE_SIGNATURE, Code.BUNDLE_DIGEST}


def verify(data: bytes, keys: TrustedKeys) -> archive.Verified:
    reader = Reader(io.BufferedReader(io.BytesIO(data)), size=len(data), where="x.ewb")
    return archive.verify(reader, keys, Discard())


def changes(size: int) -> Iterator[tuple[int, int]]:
    pick = random.Random(20)  # noqa: S311
    for at in range(size):
        yield at, pick.randrange(1, 256)
        if at % 7 == 0:
            yield at, 1 << pick.randrange(8)


def test_no_byte_of_a_small_bundle_can_change(small: Path, release: KeyPair) -> None:
    keys = load_trusted([release.public])
    good = small.read_bytes()
    assert verify(good, keys).manifest.name == "gate"
    for at, flip in changes(len(good)):
        changed = bytearray(good)
        changed[at] ^= flip
        with pytest.raises(EdgewardError) as caught:
            verify(bytes(changed), keys)
        assert caught.value.code in REFUSED, (at, flip)


def test_a_small_bundle_cannot_be_cut_or_lengthened(small: Path, release: KeyPair) -> None:
    keys = load_trusted([release.public])
    good = small.read_bytes()
    for wrong in [good[:end] for end in range(0, len(good), 13)] + [
        good + b"\0",
        good + bytes(512),
        good * 2,
    ]:
        with pytest.raises(EdgewardError) as caught:
            verify(wrong, keys)
        assert caught.value.code is Code.BUNDLE_FORMAT
