"""What the agent and a worker say to each other, over a socketpair of their own.

A frame on the wire is a 4-byte big-endian length, then that many bytes of msgpack: one tagged struct
of this module. Times are ``CLOCK_MONOTONIC`` nanoseconds, which all processes of a host share; wall
time is added at the edge by the agent. A frame longer than ``MAX_FRAME`` or one that does not decode
ends the connection: the peer is broken and is restarted, never resynchronised.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from runtime.errors import Code, EdgewardError

MAX_FRAME = 4 << 20
_HEADER = struct.Struct(">I")


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """A tagged, immutable message; unknown keys are ignored, so that either side may be newer."""


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stream of a pipeline.

    ``url`` holds credentials where the camera needs them: it goes over the socketpair only, never into
    a log, an argument list or the environment. ``pacing``: ``live`` keeps the newest frame and drops
    older ones, counted; ``every`` waits for each frame (files, in the foreground).
    """

    name: str
    url: str
    pacing: Literal["live", "every"] = "live"
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    reconnect: bool = True
    loop: bool = False
    max_fps: float = 0.0
    max_frames: int = 0


class Start(_Message, frozen=True, kw_only=True, tag="start"):
    """Agent to worker, first of all: load this bundle and run these streams.

    ``manifest_sha256`` is what the agent's verifier found signed; the worker loads nothing that does
    not hash to it and to the digests in it. ``annotate`` names a video file to write, or is empty.
    """

    pipeline: str
    bundle_dir: str
    manifest_sha256: str
    streams: tuple[StreamSpec, ...]
    threads: int = 1
    score_threshold: float | None = None
    annotate: str = ""


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """Agent to worker: end in order, flush, answer with ``Stopped``."""


class Ready(_Message, frozen=True, kw_only=True, tag="ready"):
    """Worker to agent: the model is loaded, frames may come."""

    bundle: str
    version: str
    engine: str
    provider: str
    load_ms: float
    labels: tuple[str, ...]


class StreamChanged(_Message, frozen=True, kw_only=True, tag="stream"):
    """Worker to agent: a stream entered a state. ``code``, ``what``, ``where``, ``remedy`` say why."""

    stream: str
    state: Literal["connecting", "running", "waiting", "ended", "failed"]
    mono_ns: int
    codec: str = ""
    width: int = 0
    height: int = 0
    declared_fps: float = 0.0
    code: str = ""
    what: str = ""
    where: str = ""
    remedy: str = ""
    retry_in_s: float = 0.0


class Detection(msgspec.Struct, frozen=True, array_like=True):
    """One object: class label, score 0..1, box ``x1, y1, x2, y2`` in pixels of the source picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Result(_Message, frozen=True, kw_only=True, tag="result"):
    """Worker to agent: what became of one frame that was taken for inference.

    ``status`` is one of three different things: ``detections`` (perhaps none), ``skipped`` (why) or
    ``failed`` (why). ``frame`` counts decoded frames of this connection from 0, dropped ones included,
    ``session`` counts the connections. ``pts_s`` is the stream's own presentation time in seconds.
    ``arrived_ns`` is when the frame's data was read from the source, ``done_ns`` when the result stood.
    """

    stream: str
    session: int
    frame: int
    pts_s: float | None
    arrived_ns: int
    done_ns: int
    width: int
    height: int
    status: Literal["detections", "skipped", "failed"] = "detections"
    detections: tuple[Detection, ...] = ()
    why: str = ""


class StreamCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one stream since the worker started; ``dropped`` is by reason, each frame counted once.

    Invariant: ``decoded = results + failed + sum(dropped) + in flight (0 or 1 waiting, 0 or 1 running)``.
    """

    decoded: int = 0
    results: int = 0
    failed: int = 0
    dropped: dict[str, int] = {}
    decode_errors: int = 0
    reconnects: int = 0


class Metrics(_Message, frozen=True, kw_only=True, tag="metrics"):
    """Worker to agent, each second, also the sign of life. ``cpu_s`` by stage is thread CPU time."""

    mono_ns: int
    streams: dict[str, StreamCounters]
    cpu_s: dict[str, float]
    rss_mb: float


class Fatal(_Message, frozen=True, kw_only=True, tag="fatal"):
    """Worker to agent: the worker cannot go on, and why; it exits after this."""

    code: str
    what: str
    where: str = ""
    remedy: str = ""


class Stopped(_Message, frozen=True, kw_only=True, tag="stopped"):
    """Worker to agent, last of all: every stream has ended or ``Stop`` was obeyed."""

    reason: Literal["stop", "sources-ended"]


ToWorker = Start | Stop
FromWorker = Ready | StreamChanged | Result | Metrics | Fatal | Stopped

_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker) -> bytes:
    """One wire frame: header and payload."""
    payload = _encoder.encode(message)
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


def decode_to_worker(payload: bytes) -> ToWorker:
    """A message of the agent; raises ``EdgewardError`` (``WORKER_PROTOCOL``) when it is none."""
    try:
        return _to_worker.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EdgewardError(Code.WORKER_PROTOCOL, f"the agent sent garbage: {error}") from error


def decode_from_worker(payload: bytes) -> FromWorker:
    """A message of a worker; raises ``EdgewardError`` (``WORKER_PROTOCOL``) when it is none."""
    try:
        return _from_worker.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EdgewardError(Code.WORKER_PROTOCOL, f"the worker sent garbage: {error}") from error
