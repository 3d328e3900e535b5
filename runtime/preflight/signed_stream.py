"""A file of a bundle that is read piece by piece, and is the one that was signed or an error at its end."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import BinaryIO, cast

from runtime.bundle.manifest import Manifest
from runtime.errors import Code, from_os_error
from runtime.model import another_than_signed

_BUFFER = 1 << 20


class _Hashed(io.RawIOBase):
    """Hashes what goes through it; nothing can be read past the end of another file than the one expected."""

    def __init__(self, path: Path, sha256: str) -> None:
        self._path = path
        self._expected = sha256
        self._hash = hashlib.sha256()
        self._file = path.open("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self._hash.update(memoryview(buffer)[:count])
        if count == 0 and self._hash.hexdigest() != self._expected:
            raise another_than_signed(self._path)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def open_signed(folder: Path, manifest: Manifest, name: str) -> BinaryIO:
    """Open the file ``name`` of the bundle in ``folder``.

    What was read counts once the end has been reached without ``EdgewardError`` (``BUNDLE_DIGEST``): a file
    that is larger than memory is checked with what a buffer takes.

    Raises:
        EdgewardError: ``BUNDLE_UNREADABLE``.
    """
    path = folder / name
    try:
        raw = _Hashed(path, manifest.file(name).sha256)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_UNREADABLE) from error
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))
