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
    """A verified bundle that a pipeline runs; ``stage`` of its cascade, empty for the first model."""

    pipeline: str
    stage: str = ""
    name: str
    version: str
    release_counter: int
    digest: str
    variant: str = ""
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
    """What one health check found about one subject.

    ``since`` is wall time in ms, ``docs`` where the check is explained.
    """

    id: str
    subject: str
    severity: Severity
    code: str
    text: str
    remedy: str
    since: int
    docs: str = ""


class Health(Body, frozen=True, kw_only=True):
    """The worst of all checks, in a word and in a line, and each of them."""

    state: Literal["ok", "degraded", "failed"]
    summary: str = ""
    checks: tuple[CheckResult, ...]


class StreamMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Counts are since its worker started; ``fps`` is results a second since the last message."""

    state: str
    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None = None
    last_result_age_s: float | None = None
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
    """One pipeline and its worker process. ``cpu_s`` is thread CPU time by stage, ``wall_s`` wall time.

    ``pss_mb`` is what it and its children take of memory, ``memory_limit_mb`` what they may (0: no limit).
    ``batch`` is how many pictures the first model takes at once; 0 until it is loaded.
    """

    state: str
    pid: int | None
    rss_mb: float
    pss_mb: float | None = None
    memory_limit_mb: float = 0.0
    cpu_percent: float = 0.0
    restarts: int
    cpu_s: dict[str, float]
    wall_s: dict[str, float] = {}
    batch: int = 0
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
    """The whole device, and the agent's own proportional set size. ``temperature_c``: its hottest zone."""

    cpu_percent: float
    cpu_percents: tuple[float, ...] = ()
    cpu_mhz: int | None = None
    temperature_c: float | None = None
    memory_percent: float
    swap_percent: float = 0.0
    disk_free_mb: int
    network_received_bytes: int = 0
    network_sent_bytes: int = 0
    load1: float
    agent_pss_mb: float | None


class Metrics(Body, frozen=True, kw_only=True):
    """Numbers of the moment."""

    pipelines: dict[str, PipelineMetrics]
    link: LinkMetrics
    device: DeviceMetrics


class Keypoint(msgspec.Struct, frozen=True, kw_only=True):
    """A named point in pixels of the source picture, score 0..1."""

    name: str
    x: float
    y: float
    score: float


class Mask(msgspec.Struct, frozen=True, kw_only=True):
    """Which cells of a grid over ``box`` belong to an object; see ``runtime.findings.Mask``."""

    box: tuple[float, float, float, float]
    width: int
    height: int
    runs: tuple[int, ...]


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """A class of the whole picture or crop: label and score 0..1."""

    label: str
    score: float


class Segmentation(msgspec.Struct, frozen=True, kw_only=True):
    """A class for each cell of a grid over ``box``; see ``runtime.findings.Segmentation``."""

    box: tuple[float, float, float, float]
    width: int
    height: int
    runs: tuple[tuple[int, int], ...]
    shares: dict[str, float]


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A raw output: dtype, shape, and the elements in C order, little-endian; Base64 in JSON."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Inside(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a stage of a cascade found in the crop of a detection; what is empty is left out."""

    stage: str
    detections: tuple[Detected, ...] = ()
    classes: tuple[Classified, ...] = ()
    segmentation: Segmentation | None = None
    embedding: tuple[float, ...] = ()
    tensors: tuple[Tensor, ...] = ()


class Detected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object: label, score 0..1, box ``x1, y1, x2, y2`` in pixels of the source picture.

    What a model does not give is left out: a plain detection is its first three fields.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    keypoints: tuple[Keypoint, ...] = ()
    mask: Mask | None = None
    inside: tuple[Inside, ...] = ()


LeftOut = Literal["masks", "segmentation"]


class Detections(Body, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one frame. ``arrived_ns`` is this device's ``CLOCK_MONOTONIC``.

    The fields from ``classes`` on are left out when they are empty. ``left_out`` names what was found and
    did not fit into an event.
    """

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
    classes: tuple[Classified, ...] = ()
    segmentation: Segmentation | None = None
    embedding: tuple[float, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


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


def size_of(body: Body) -> int:
    """Bytes that ``body`` has as JSON, without its envelope."""
    return len(_encoder.encode(body))


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
