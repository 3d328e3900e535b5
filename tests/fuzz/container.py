"""The archive: whatever its bytes are, what is accepted is a seed, byte for byte."""

from __future__ import annotations

import io
from collections.abc import Iterable
from random import Random

from runtime.bundle import archive
from runtime.bundle.container import Reader, Writer
from runtime.bundle.keys import TrustedKeys
from runtime.bundle.sign import read_front
from runtime.errors import EdgewardError
from tests.fuzz import corpus
from tests.fuzz.mutation import blocks_changed, bytes_changed

SEEDS = corpus.read("container")
_SIGNED = frozenset(SEEDS)
_KEYS: TrustedKeys = corpus.trusted()


class _Kept:
    """A sink that remembers everything, to be written again."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        assert name not in self.files
        self.files[name] = b"".join(chunks)


def mutate(data: bytes, random: Random) -> bytes:
    """Bytes, or blocks and headers with right checksums."""
    return (blocks_changed if random.randrange(2) else bytes_changed)(data, random)


def one(data: bytes) -> bool:
    """Check one archive; whether it was accepted as signed.

    Raises:
        AssertionError: a promise does not hold.
    """
    _read_as_written(data)
    _unsigned_as_written(data)
    by_size = {_verified(data, size) for size in (len(data), None)}
    assert len(by_size) == 1, "what a file is refused for, a stream must be refused for too"
    (accepted,) = by_size
    assert not accepted or data in _SIGNED, "a changed bundle was accepted"
    return accepted


def _verified(data: bytes, size: int | None) -> bool:
    sink = _Kept()
    try:
        found = archive.verify(Reader(io.BytesIO(data), size=size, where="x.ewb"), _KEYS, sink)
    except EdgewardError as error:
        corpus.check_error(error)
        return False
    assert list(sink.files)[2:] == [entry.path for entry in found.manifest.files]
    return True


def _read_as_written(data: bytes) -> None:
    """Whatever the reader takes, the writer makes again: there is no second spelling of an archive."""
    reader, files = Reader(io.BytesIO(data), where="x.ewb"), []
    try:
        while (member := reader.member()) is not None:
            files.append((member.name, b"".join(reader.chunks())))
    except EdgewardError as error:
        corpus.check_error(error)
        return
    assert _written(files) == data


def _unsigned_as_written(data: bytes) -> None:
    """The same for a bundle that nobody vouches for, as ``inspect`` and ``sign`` read it."""
    reader, sink = Reader(io.BytesIO(data), size=len(data), where="x.ewb"), _Kept()
    try:
        front = read_front(reader)
        archive.read_files(reader, front.manifest, sink)
    except EdgewardError as error:
        corpus.check_error(error)
        return
    before = [("manifest.json", front.data)]
    if front.sig is not None:
        before.insert(0, ("model.sig", front.sig))
    assert _written([*before, *sink.files.items()]) == data
    assert list(sink.files) == [entry.path for entry in front.manifest.files]


def _written(files: Iterable[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    for name, data in files:
        writer.add(name, len(data), (data,))
    writer.finish()
    return stream.getvalue()
