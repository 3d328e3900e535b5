"""SHA-256 of a file and of each of its blocks, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from runtime.bundle.manifest import FileEntry
from runtime.errors import Code, EdgewardError


class FileDigest:
    """Feed it a file with ``update``; then it has ``sha256`` and ``size``, and ``finish`` gives the blocks.

    Args:
        block_size: in bytes; 0 for no digests of blocks.
    """

    def __init__(self, block_size: int) -> None:
        self.size = 0
        self._block_size = block_size
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._room = block_size
        self._blocks: list[str] = []

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self._whole.update(data)
        view = memoryview(data)
        while view and self._block_size:
            part, view = view[: self._room], view[self._room :]
            self._block.update(part)
            self._room -= len(part)
            if not self._room:
                self._end_block()

    def _end_block(self) -> None:
        self._blocks.append(self._block.hexdigest())
        self._block = hashlib.sha256()
        self._room = self._block_size

    @property
    def sha256(self) -> str:
        """Of everything so far."""
        return self._whole.hexdigest()

    def finish(self) -> tuple[str, ...]:
        """The digests of all blocks, the last and perhaps shorter one too."""
        if self._room != self._block_size:
            self._end_block()
        return tuple(self._blocks)


def checked(entry: FileEntry, chunks: Iterable[bytes], *, where: str) -> Iterator[bytes]:
    """Pass ``chunks`` on, and fail before the iteration ends when they are not the entry's bytes.

    Raises:
        EdgewardError: ``BUNDLE_DIGEST``, naming the file.
    """
    # Nobody asks for digests that the manifest does not list: of small blocks they would fill the memory.
    digest = FileDigest(entry.block_size if entry.blocks else 0)
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    blocks = digest.finish()
    if digest.size != entry.size or digest.sha256 != entry.sha256:
        what = f"the file {entry.path!r} is not what was signed"
    elif entry.blocks and blocks != entry.blocks:
        what = f"the block digests of {entry.path!r} are not those of the file"
    else:
        return
    raise EdgewardError(Code.BUNDLE_DIGEST, what, where=where, remedy="get the bundle again")
