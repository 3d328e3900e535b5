"""Opens a source as a worker does and waits for its first picture."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from runtime.errors import Code, EdgewardError
from runtime.ipc import StreamSpec
from runtime.source.libav import LibavSource


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Codec, size and how long it took.

    Raises:
        EdgewardError: ``SOURCE_*``, naming the URL without its password.
    """
    spec = msgspec.convert(task["stream"], StreamSpec)
    source = LibavSource(spec)
    began = time.monotonic()
    source.open()
    try:
        first = next(source.frames(), None)
        if first is None:
            what, remedy = "it ends without a picture", "look at it with a player"
            raise EdgewardError(Code.SOURCE_DATA, what, where=source.where, remedy=remedy)
        return {
            "codec": source.codec,
            "width": source.width,
            "height": source.height,
            "fps": round(source.declared_fps, 2),
            "first_picture_ms": round((time.monotonic() - began) * 1e3),
        }
    finally:
        source.close()
