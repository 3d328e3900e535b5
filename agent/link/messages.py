"""Every message that a device sends, as typed structs in one envelope. The server imports this module.

Unknown fields are ignored on reading, so that either side may be newer; fields are never renamed.
``docs/ref/mqtt.md`` is the reference; a test holds it to these structs.
"""

from __future__ import annotations

import os
import time
from typing import Literal

import msgspec

VERSION = 1
Severity = Literal["ok", "warning", "critical"]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds every body.

    ``ts`` is wall time in ms since 1970 UTC when the message was made; believe it when ``ts_ok``.
    ``seq`` counts the messages of one topic since the agent started: a gap is a loss.
    """

    v: int = VERSION
    id: str
    type: str
    ts: int
    ts_ok: bool
    boot: str
    seq: int
    body: msgspec.Raw


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all bodies."""


class Status(Body, frozen=True, kw_only=True):
    """Birth, clean goodbye and last will. ``session`` is the agent's start, the same in all three."""

    state: Literal["online", "offline"]
    session: str
    reason: Literal["started", "reconnected", "stopped", "lost"]
    version: str


class BundleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A verified bundle that a pipeline runs."""

    pipeline: str
    name: str
    version: str
    release_counter: int
    digest: str
    engine: str = ""
    provider: str = ""


class Inventory(Body, frozen=True, kw_only=True):
    """What this device is and what it has installed."""

    version: str
    python: str
    os: str
    kernel: str
    machine: str
    cpu: str
    cpu_count: int
    memory_mb: int
    bundles: tuple[BundleInfo, ...]


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one health check found about one subject. ``since`` is wall time in ms."""

    id: str
    subject: str
    severity: Severity
    code: str
    text: str
    remedy: str
    since: int


class Health(Body, frozen=True, kw_only=True):
    """The worst of all checks, and each of them."""

    state: Literal["ok", "degraded", "failed"]
    checks: tuple[CheckResult, ...]


class StreamMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Counts are since its worker started; ``fps`` is results a second since the last message."""

    state: str
    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    codec: str
    width: int
    height: int
    decoded: int
    results: int
    failed: int
    dropped: dict[str, int]
    decode_errors: int
    reconnects: int


class PipelineMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline and its worker process. ``cpu_s`` is thread CPU time by stage."""

    state: str
    pid: int | None
    rss_mb: float
    restarts: int
    cpu_s: dict[str, float]
    streams: dict[str, StreamMetrics]


class KindCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of topic: ``enqueued = sent + queued + sum(dropped)``."""

    enqueued: int
    sent: int
    queued: int
    dropped: dict[str, int]


class LinkMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The queue in front of the broker, since the agent started."""

    queued_bytes: int
    connects: int
    kinds: dict[str, KindCounts]


class DeviceMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The whole device, and the agent's own proportional set size."""

    cpu_percent: float
    memory_percent: float
    disk_free_mb: int
    load1: float
    agent_pss_mb: float | None


class Metrics(Body, frozen=True, kw_only=True):
    """Numbers of the moment."""

    pipelines: dict[str, PipelineMetrics]
    link: LinkMetrics
    device: DeviceMetrics


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """One object: label, score 0..1, box ``x1, y1, x2, y2`` in pixels of the source picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detections(Body, frozen=True, kw_only=True):
    """What became of one frame. ``arrived_ns`` is this device's ``CLOCK_MONOTONIC``."""

    pipeline: str
    stream: str
    session: int
    frame: int
    pts_s: float | None
    arrived_ns: int
    latency_ms: float
    width: int
    height: int
    status: Literal["detections", "skipped", "failed"]
    why: str
    detections: tuple[Detected, ...]


AnyBody = Status | Inventory | Health | Metrics | Detections

TYPES: dict[str, type[Body]] = {
    "status": Status,
    "inventory": Inventory,
    "health": Health,
    "metrics": Metrics,
    "event.detections": Detections,
}
_TYPE_OF = {body: name for name, body in TYPES.items()}
_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(Envelope)
_decoders = {name: msgspec.json.Decoder(body) for name, body in TYPES.items()}


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562, 5.7), its ``rand_a`` the fraction of the millisecond (6.2, method 3)."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | tail
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def encode(body: Body, *, ts: int, ts_ok: bool, boot: str, seq: int) -> bytes:
    """The JSON of a message, with a fresh id."""
    raw = msgspec.Raw(_encoder.encode(body))
    kind = _TYPE_OF[type(body)]
    return _encoder.encode(Envelope(id=uuid7(), type=kind, ts=ts, ts_ok=ts_ok, boot=boot, seq=seq, body=raw))


def decode(payload: bytes) -> tuple[Envelope, Body | None]:
    """Envelope and body; the body is ``None`` for a type that this version does not know.

    Raises:
        msgspec.MsgspecError: it is no message of this protocol.
    """
    envelope = _envelope.decode(payload)
    decoder = _decoders.get(envelope.type)
    return envelope, decoder.decode(envelope.body) if decoder else None
