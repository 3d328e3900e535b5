"""What the agent and a worker say to each other, over a socketpair of their own.

Each frame of it (``runtime.frames``) holds msgpack: one tagged struct of this module. Times are
``CLOCK_MONOTONIC`` nanoseconds, which all processes of a host share; wall time is added at the edge by the
agent. A frame that is too long or does not decode ends the connection: the peer is broken and is restarted,
never resynchronised.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from runtime.errors import Code, EdgewardError
from runtime.findings import Classified, Detection, Segmentation, Tensor
from runtime.frames import MAX_FRAME as MAX_FRAME  # noqa: PLC0414 - those who speak it import it from here
from runtime.frames import FrameReader as FrameReader  # noqa: PLC0414 - as above
from runtime.frames import frame
from runtime.preflight.messages import Candidates, Examined, Examining
from runtime.rights import Rights
from runtime.serve.messages import Served, ServeOptions


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """A tagged, immutable message; unknown keys are ignored, so that either side may be newer."""


class Request(_Message, frozen=True, kw_only=True):
    """Agent to worker: what is to be answered by the ``Reply`` with the same ``id``."""

    id: int = 0


class Reply(_Message, frozen=True, kw_only=True):
    """Worker to agent: the answer to the ``Request`` with that ``id``."""

    id: int


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


class Delegate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A LiteRT delegate: a shared library of a vendor's, and its options."""

    path: str
    options: dict[str, str] = {}


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How engines run on this device; from its profile and configuration, never from a bundle.

    Attributes:
        threads: inside one operator.
        affinity: CPUs that these threads may use; empty: all that the process may.
        providers: ways to run it (onnxruntime's execution providers, OpenVINO's devices) in the order in
            which they are wanted; the first that is there is taken and reported. Empty: the engine's best.
        provider: the one way to take; that it is missing is an error.
        delegates: for LiteRT, in their order; one that cannot be loaded is an error.
        variant: id of the variant to take instead of the first that fits.
        profile: of the device; a variant that is limited to profiles runs on no other.
        cache_dir: where engines keep what they compiled, or empty.
    """

    threads: int = 1
    affinity: tuple[int, ...] = ()
    providers: tuple[str, ...] = ()
    provider: str = ""
    delegates: tuple[Delegate, ...] = ()
    variant: str = ""
    profile: str = ""
    cache_dir: str = ""


class Tiling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Look at overlapping tiles of the picture, for objects that would be too small in the whole.

    ``columns`` and ``rows`` of tiles, neighbours share ``overlap`` of a tile's side; ``whole`` looks at the
    whole picture as well. Boxes of one class from different tiles that overlap by more than ``iou`` of
    their union, or by more than ``inside`` of the smaller one, are one object.
    """

    columns: int
    rows: int
    overlap: float = 0.2
    whole: bool = True
    iou: float = 0.45
    inside: float = 0.8


class Stage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A further model of a cascade: it looks at the crop of each detection of the first.

    Only detections of ``labels`` (all when empty) with at least ``min_score`` whose box is at least
    ``min_size`` source pixels wide and high; the box grown by ``grow`` of its size on each side; the best
    ``max_crops`` of a frame, ``max_batch`` at most in one inference.
    """

    name: str
    bundle_dir: str
    manifest_sha256: str
    labels: tuple[str, ...] = ()
    min_score: float = 0.0
    min_size: int = 8
    grow: float = 0.0
    max_crops: int = 16
    score_threshold: float | None = None
    max_batch: int = 8
    engine: EngineOptions = EngineOptions()


class Start(_Message, frozen=True, kw_only=True, tag="start"):
    """Agent to worker, first of all: load this bundle and run these streams.

    ``manifest_sha256`` is what the agent's verifier found signed; the worker loads nothing that does
    not hash to it and to the digests in it. ``max_batch``: of pictures that wait, at most so many go into
    one inference of the first model where it allows that and measuring shows that it gains. ``annotate``
    names a video file to write, or is empty. ``rights``: what the worker keeps before it loads anything;
    ``None`` leaves it all that it was started with. ``serve``: None serves nobody.
    """

    pipeline: str
    bundle_dir: str
    manifest_sha256: str
    streams: tuple[StreamSpec, ...]
    engine: EngineOptions = EngineOptions()
    score_threshold: float | None = None
    tiling: Tiling | None = None
    stages: tuple[Stage, ...] = ()
    max_batch: int = 8
    annotate: str = ""
    rights: Rights | None = None
    serve: ServeOptions | None = None


class Examine(_Message, frozen=True, kw_only=True, tag="examine"):
    """Agent to preflight child, first of all: examine the variant that ``engine`` names, or list them all.

    ``max_batch`` as for ``Start``. ``rounds`` of latency are measured after the warm-up, fewer when that
    takes more than ``measure_s``, yet not fewer than ``runtime.preflight.messages.MIN_ROUNDS`` before
    ``last_s`` are over. ``rights`` as for ``Start``.
    """

    bundle_dir: str
    manifest_sha256: str
    engine: EngineOptions = EngineOptions()
    max_batch: int = 1
    rounds: int = 100
    measure_s: float = 10.0
    last_s: float = 45.0
    rights: Rights | None = None


class Measure(_Message, frozen=True, kw_only=True, tag="measure"):
    """Agent to preflight child: no other one measures now, so begin."""


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """Agent to worker: end in order, flush, answer with ``Stopped``."""


class SetRate(_Message, frozen=True, kw_only=True, tag="set-rate"):
    """Agent to worker: look at ``factor`` (above 0, at most 1) of the frames that it would look at.

    What is left out is dropped as ``governed``; see ``runtime.rate``.
    """

    factor: float


class TakeSnapshot(Request, frozen=True, kw_only=True, tag="take-snapshot"):
    """Agent to worker: send the next frame of a stream that is looked at as a JPEG.

    ``annotate`` draws what was found in it; it is made no wider than ``max_width`` pixels, 0 leaves it.
    """

    stream: str
    annotate: bool = False
    max_width: int = 0


class Loaded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What really runs a model: the variant that was taken, its engine and provider."""

    variant: str = ""
    engine: str
    provider: str


class Ready(_Message, frozen=True, kw_only=True, tag="ready"):
    """Worker to agent: the models are loaded, frames may come. ``stages`` are those of a cascade, by name.

    ``batch``: frames are taken at most so many at a time. ``memory_mb``: the sum of what the manifests allow
    for their models and what serving adds, 0 when one of them does not say; ``latency_budget_ms`` is what
    the first one's allows a frame to take, or 0. ``lacks``: rights that this kernel could not take away, in
    words.
    """

    bundle: str
    version: str
    variant: str = ""
    engine: str
    provider: str
    load_ms: float
    labels: tuple[str, ...]
    task: str = "detection"
    batch: int = 1
    stages: dict[str, Loaded] = {}
    memory_mb: float = 0.0
    latency_budget_ms: float = 0.0
    lacks: tuple[str, ...] = ()


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


class Result(_Message, frozen=True, kw_only=True, tag="result"):
    """Worker to agent: what became of one frame that was taken for inference.

    ``status`` is one of three different things: ``detections`` (what the model's task gives, perhaps
    nothing), ``skipped`` (why) or ``failed`` (why). ``frame`` counts decoded frames of this connection
    from 0, dropped ones included, ``session`` counts the connections. ``pts_s`` is the stream's own
    presentation time in seconds. ``arrived_ns`` is when the frame's data was read from the source,
    ``done_ns`` when the result stood.
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
    why: str = ""
    detections: tuple[Detection, ...] = ()
    classes: tuple[Classified, ...] = ()
    segmentation: Segmentation | None = None
    embedding: tuple[float, ...] = ()
    tensors: tuple[Tensor, ...] = ()


class Snapshot(Reply, frozen=True, kw_only=True, tag="snapshot"):
    """Worker to agent: a frame as a JPEG and what was found in it, or, with ``code`` and ``what``, why not.

    ``width`` and ``height`` are those of the JPEG; the boxes of ``result`` are in pixels of the source.
    """

    jpeg: bytes = b""
    width: int = 0
    height: int = 0
    arrived_ns: int = 0
    result: Result | None = None
    code: str = ""
    what: str = ""


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
    """Worker to agent, each second, also the sign of life.

    ``cpu_s`` is thread CPU time by stage since the start: ``decode`` (all streams), ``preprocess``,
    ``infer``, ``postprocess``, ``publish``; ``process`` is that of the whole process, all threads.
    ``wall_s`` is wall time of the same stages, without the wait for a camera. A cascade's stage adds to
    ``preprocess``, ``infer`` and ``postprocess``. ``served`` is None where nobody is served.
    """

    mono_ns: int
    streams: dict[str, StreamCounters]
    cpu_s: dict[str, float]
    wall_s: dict[str, float] = {}
    rss_mb: float
    served: Served | None = None


class Fatal(_Message, frozen=True, kw_only=True, tag="fatal"):
    """Worker to agent: the worker cannot go on, and why; it exits after this."""

    code: str
    what: str
    where: str = ""
    remedy: str = ""


class Stopped(_Message, frozen=True, kw_only=True, tag="stopped"):
    """Worker to agent, last of all: every stream has ended or ``Stop`` was obeyed."""

    reason: Literal["stop", "sources-ended"]


ToWorker = Start | Stop | SetRate | Examine | Measure | TakeSnapshot
FromWorker = (
    Ready | StreamChanged | Result | Metrics | Fatal | Stopped | Snapshot | Candidates | Examining | Examined
)


def failed(result: Result, why: str) -> Result:
    """The same frame, of which nothing is known but why."""
    kept = ("stream", "session", "frame", "pts_s", "arrived_ns", "done_ns", "width", "height")
    return Result(**{name: getattr(result, name) for name in kept}, status="failed", why=why)


_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker) -> bytes:
    """One wire frame: header and payload.

    Raises:
        EdgewardError: ``WORKER_PROTOCOL`` when it is over ``MAX_FRAME``, ``USAGE`` when a text is no Unicode:
            Python carries the bytes of such a file's name as they are.
    """
    try:
        payload = _encoder.encode(message)
    except UnicodeEncodeError as error:
        name = error.object.encode(errors="backslashreplace").decode()
        raise EdgewardError(Code.USAGE, "is no UTF-8", where=name, remedy="rename the file") from error
    return frame(payload)


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
