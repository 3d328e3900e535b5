"""Writes a file beside its place and renames it there: readers see the old file or the new, never half."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runtime.bundle.staging import sync_folder
from runtime.errors import Code, EdgewardError, from_os_error


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that becomes ``path`` when the block ends well, and vanishes when it does not.

    It is readable by its owner only until it is complete; then it gets ``mode``.

    Raises:
        EdgewardError: ``SYSTEM_PERMISSION``, ``SYSTEM_DISK_FULL`` or ``SYSTEM_IO``.
    """
    try:
        if path.is_dir():
            what, remedy = "is a folder, not a file", "name the file to write"
            raise EdgewardError(Code.SYSTEM_IO, what, where=str(path), remedy=remedy)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.rename(name, path)  # noqa: PTH104 - the name came from mkstemp
        sync_folder(path.parent)
    except OSError as error:
        raise from_os_error(error, where=str(path), fallback=Code.SYSTEM_IO) from error
    finally:
        # After the rename there is nothing of that name any more.
        Path(name).unlink(missing_ok=True)
