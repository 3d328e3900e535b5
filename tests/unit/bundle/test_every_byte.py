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
from runtime.errors import Code, EdgewardError, ExitStatus

from .conftest import KeyPair

pytestmark = pytest.mark.unit


def verify(data: bytes, keys: TrustedKeys, *, size: int | None = None) -> archive.Verified:
    reader = Reader(io.BytesIO(data), size=size, where="x.ewb")
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
    assert verify(good, keys, size=len(good)).manifest.name == "gate"
    for at, flip in changes(len(good)):
        changed = bytearray(good)
        changed[at] ^= flip
        with pytest.raises(EdgewardError) as caught:
            verify(bytes(changed), keys, size=len(changed))
        assert caught.value.code.exit_status is ExitStatus.BUNDLE_REFUSED, (at, flip)


@pytest.mark.parametrize("known", [True, False], ids=["a file", "a stream"])
def test_a_small_bundle_cannot_be_cut_or_lengthened(*, known: bool, small: Path, release: KeyPair) -> None:
    keys = load_trusted([release.public])
    good = small.read_bytes()
    ends = range(len(good)) if known else range(0, len(good), 7)
    for wrong, code in [
        *((good[:end], Code.BUNDLE_TRUNCATED) for end in ends),
        *((good + more, Code.BUNDLE_TRAILING) for more in (b"\0", bytes(512), good)),
    ]:
        with pytest.raises(EdgewardError) as caught:
            verify(wrong, keys, size=len(wrong) if known else None)
        assert caught.value.code is code, len(wrong)
