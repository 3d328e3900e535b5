"""The manifest of a bundle, schema 1: what the files are and how frames become results.

Preprocess and postprocess are declarations, never code. Every struct refuses unknown keys, so that a
manifest either means to this version what its author meant, or is refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from runtime.bundle.decoders import Positive, Postprocess, Task
from runtime.bundle.member_name import check_name
from runtime.bundle.metrics import Metric
from runtime.errors import Code, EdgewardError

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "model.sig"
SCHEMA = 1
MAX_GOLDEN_FRAMES = 1000

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
Version = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\Z",
        max_length=64,
    ),
]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Triple = tuple[float, float, float]
DType = Literal["float32", "float16", "uint8", "int8", "int32", "int64"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """Immutable, refuses unknown keys."""


class FileEntry(_Strict, frozen=True, kw_only=True):
    """One file of the bundle.

    ``blocks`` are the SHA-256 of each ``block_size`` bytes, so that a block that arrives alone can be
    checked alone.
    """

    path: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256
    role: Literal["model", "labels", "golden", "doc", "data"]
    block_size: Annotated[int, msgspec.Meta(ge=4096)] = 32768
    blocks: tuple[Sha256, ...] = ()


class Quantisation(_Strict, frozen=True, kw_only=True):
    """``value = (q - zero_point) * scale``, one for the whole tensor."""

    scale: Annotated[float, msgspec.Meta(gt=0.0)]
    zero_point: Annotated[int, msgspec.Meta(ge=-128, le=255)] = 0


class TensorSpec(_Strict, frozen=True, kw_only=True):
    """Name, dtype and shape of a model's output; a text in ``shape`` is a symbolic dimension.

    ``quantisation`` of integer tensors: of an output that has none the model file's own is taken; an input
    that has none gets the number that preprocessing makes, rounded, which for raw pixels is the pixel.
    """

    name: str
    dtype: DType
    shape: tuple[int | str, ...]
    quantisation: Quantisation | None = None


class InputSpec(TensorSpec, frozen=True, kw_only=True):
    """A model's input and what it is fed with.

    ``feed``: ``picture``, the preprocessed picture (one input of each variant); ``value``, the numbers of
    ``value``, always (one for all elements, or one each); ``state``, what the output ``from_output`` gave for
    the stream's frame before, at first the numbers of ``value`` or zeros; ``picture_size``, height and width
    of the source picture in pixels; ``picture_scale``, tensor pixels a source pixel, vertically and across.
    """

    feed: Literal["picture", "value", "state", "picture_size", "picture_scale"] = "picture"
    value: Annotated[tuple[float, ...], msgspec.Meta(max_length=65536)] = ()
    from_output: str = ""


class Preprocess(_Strict, frozen=True, kw_only=True):
    """From a picture to the input tensor: ``value = (pixel * scale - mean) / std``, channel by channel.

    ``mean``, ``std`` and ``pad`` are in the tensor's channel order; ``pad`` is a pixel value, 0 to 255. Of
    ``order = "gray"`` their first number counts.
    """

    fit: Literal["letterbox", "letterbox_topleft", "stretch", "crop"] = "letterbox"
    sampling: Literal["bilinear", "area"] = "bilinear"
    order: Literal["rgb", "bgr", "gray"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    scale: float = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    pad: Triple = (114.0, 114.0, 114.0)


class Variant(_Strict, frozen=True, kw_only=True):
    """One way to run the model: an engine and the file that it loads.

    ``weights``: a second file where the engine's format has two (OpenVINO's ``.bin``, ncnn's ``.bin``).
    ``dimensions`` gives each symbolic dimension its size. A symbolic first dimension that is not in it is
    the batch, which the device chooses. ``preprocess`` and ``postprocess`` stand in for the manifest's.
    ``engine_version``: the versions of the engine that may run it, ``>=1.17,<2``; empty: any.
    """

    id: Name
    engine: Name
    file: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights: str = ""
    precision: Literal["float32", "float16", "int8"] = "float32"
    arch: tuple[Literal["x86_64", "aarch64", "armv7l"], ...] = ()
    profiles: tuple[str, ...] = ()
    dimensions: dict[str, Positive] = {}
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    engine_version: str = ""


class Golden(_Strict, frozen=True, kw_only=True):
    """What the model must answer on every device, to a few frames that travel with it.

    ``frames``: ``.y4m`` files of the bundle, one for each size of picture, with the frames as I420, so that
    each board sees the same planes. ``results``: a ``.json`` file with what the author's reference path gave
    for each frame, in the order of the files (``runtime.golden.results``). ``count``: frames in all.
    ``reference``: id of the variant that gave them.
    """

    frames: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]
    results: str
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_GOLDEN_FRAMES)]
    reference: Name
    metric: Metric


class Budgets(_Strict, frozen=True, kw_only=True):
    """What the author promises at most: checked on the device before activation."""

    latency_p95_ms: float | None = None
    memory_mb: float | None = None
    load_ms: float | None = None


class Manifest(_Strict, frozen=True, kw_only=True):
    """``manifest.json``, schema 1."""

    schema: Literal[1]
    name: Name
    version: Version
    release_counter: Positive
    task: Task
    labels: Annotated[tuple[str, ...], msgspec.Meta(max_length=10_000)] = ()
    files: Annotated[tuple[FileEntry, ...], msgspec.Meta(min_length=1, max_length=1000)]
    variants: Annotated[tuple[Variant, ...], msgspec.Meta(min_length=1, max_length=100)]
    preprocess: Preprocess
    postprocess: Postprocess
    min_runtime: Version = "0.1.0"
    description: str = ""
    license: str = ""
    budgets: Budgets = Budgets()
    golden: Golden | None = None
    requires: tuple[str, ...] = ()

    def file(self, path: str) -> FileEntry:
        """The entry of ``path``; raises ``KeyError`` when the manifest has none."""
        for entry in self.files:
            if entry.path == path:
                return entry
        raise KeyError(path)


def check_path(path: str, *, where: str) -> None:
    """Refuse a name that is not a plain relative ASCII path of at most 255 letters.

    Raises:
        EdgewardError: ``BUNDLE_NAME_*``; ``BUNDLE_MANIFEST`` for the names of what stands before the files.
    """
    check_name(path, where=where)
    if path in {MANIFEST_NAME, SIGNATURE_NAME}:
        what = f"the file name {path!r} is not allowed: the bundle itself uses it"
        raise EdgewardError(Code.BUNDLE_MANIFEST, what, where=where, remedy="name the file otherwise")
