"""Frames on a stream socket: a 4-byte big-endian length, then that many bytes."""

from __future__ import annotations

import struct

from runtime.errors import Code, EdgewardError

MAX_FRAME = 4 << 20
_HEADER = struct.Struct(">I")


def frame(payload: bytes) -> bytes:
    """Header and payload.

    Raises:
        EdgewardError: ``WORKER_PROTOCOL`` when it is over ``MAX_FRAME``.
    """
    if len(payload) > MAX_FRAME:
        raise EdgewardError(Code.WORKER_PROTOCOL, f"a message of {len(payload)} bytes is over {MAX_FRAME}")
    return _HEADER.pack(len(payload)) + payload


class FrameReader:
    """Cuts a byte stream into payloads. Feed it what arrived, take out what is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads completed by ``data``, in order.

        Raises:
            EdgewardError: ``WORKER_PROTOCOL`` when a header announces more than ``MAX_FRAME`` bytes.
        """
        self._buffer += data
        payloads = []
        while len(self._buffer) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise EdgewardError(
                    Code.WORKER_PROTOCOL, f"a frame announces {length} bytes, over {MAX_FRAME}"
                )
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            payloads.append(bytes(self._buffer[_HEADER.size : end]))
            del self._buffer[:end]
        return payloads
