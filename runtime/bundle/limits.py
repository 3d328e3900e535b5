"""How large a bundle may be: the format's own bounds, and the tighter ones that a device may set."""

from __future__ import annotations

from typing import NamedTuple

MAX_MEMBERS = 1002
MAX_BYTES = 8 << 30
MAX_PATH = 255


class Limits(NamedTuple):
    """What a reader takes at most.

    Attributes:
        members: files in the archive, ``model.sig`` and ``manifest.json`` among them.
        total: bytes up to the end of the last file's data, headers and padding included.
        path: letters of a file's name, folders included.
    """

    members: int = MAX_MEMBERS
    total: int = MAX_BYTES
    path: int = MAX_PATH


FORMAT = Limits()
"""What the format allows; ``pack`` and ``sign`` keep to it."""
