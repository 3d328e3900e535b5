"""Inference engines: one file an engine behind one small interface, loaded only when it is named.

An engine is an entry point of the group ``edgeward.engines`` whose name is what manifests call it and whose
value is a module (or object) that is a ``Backend``. edgeward's own are registered the same way, in its
``pyproject.toml``; a vendor's package adds one without touching edgeward.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import engine_version, plugins
from runtime.bundle.manifest import Manifest, Quantisation, Variant
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions

Array = NDArray[Any]


class TensorInfo(NamedTuple):
    """A tensor as the loaded model has it.

    ``shape``: a text or None is a size that the model leaves open. ``quantisation`` is the manifest's,
    else the model file's, of integer tensors that carry one.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]
    quantisation: Quantisation | None = None


class Binding(Protocol):
    """Kept input and output buffers for one batch size: fill ``inputs``, ``run``, read ``outputs``.

    Both are in the order of the variant's manifest entry and keep their identity, shape and address from run
    to run; only an output whose size the model decides (``[N, 7]``) may be another array after each run.
    """

    inputs: Sequence[Array]
    outputs: Sequence[Array]

    def run(self) -> None:
        """One inference over the buffers; raises ``EdgewardError`` (``MODEL_RUN``)."""


class Engine(Protocol):
    """A loaded model. Not thread-safe: one inference thread owns it.

    ``provider`` is what really runs it, in the engine's own words: never what was merely asked for.
    """

    provider: str
    inputs: Sequence[TensorInfo]
    outputs: Sequence[TensorInfo]

    def bind(self, batch: int) -> Binding:
        """Buffers for ``batch`` pictures at a time; the same binding for the same ``batch``.

        Raises:
            EdgewardError: ``MODEL_LOAD`` when the engine cannot take that batch or has no memory for it.
        """

    def release(self, batch: int) -> None:
        """Give back what ``bind(batch)`` took; its binding must not be used any more."""

    def close(self) -> None:
        """Give the model's memory back; buffers of bindings must not be touched afterwards."""


class Capabilities(NamedTuple):
    """What an engine can do on this host. ``reason`` says why it is not available, and what to do."""

    available: bool
    reason: str = ""
    version: str = ""
    providers: tuple[str, ...] = ()


class ModelFiles(NamedTuple):
    """The bytes of a variant's files, as they were hashed, and the digest that names them in caches."""

    model: bytes
    weights: bytes
    sha256: str


class Backend(Protocol):
    """What an entry point gives: a module with these functions, importable without the engine's package."""

    def capabilities(self) -> Capabilities:
        """Whether and with what it runs here. Must be cheap, and must not raise."""

    def load(self, variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> Engine:
        """Load a model; see ``runtime.engine.load`` for what it raises."""


def backend(name: str) -> Backend | None:
    """The engine of that name, or None when nothing installed gives it.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` when what is installed cannot be imported.
    """
    point = plugins.installed(plugins.ENGINES).get(name)
    if point is None:
        return None
    try:
        found: Backend = point.load()
    except Exception as error:
        # A plug-in is somebody else's code: whatever goes wrong in it is to be told as such.
        package = point.dist.name if point.dist else point.value
        raise EdgewardError(
            Code.ENGINE_UNAVAILABLE,
            f"the engine {name!r} of the package {package!r} cannot be imported: {first_line(error)}",
            remedy="reinstall that package, or remove it",
        ) from error
    return found


def missing(variant: Variant, profile: str = "") -> str:
    """Why this host, of that profile, cannot run ``variant``; empty when it can."""
    return _other_board(variant, profile) or _other_engine(variant)


def _other_board(variant: Variant, profile: str) -> str:
    if variant.arch and platform.machine() not in variant.arch:
        return f"is for {', '.join(variant.arch)}, this is {platform.machine()}"
    if variant.profiles and profile not in variant.profiles:
        there = f"this is {profile!r}" if profile else "this device names none"
        return f"is for devices of the profile {', '.join(map(repr, variant.profiles))}, {there}"
    return ""


def _other_engine(variant: Variant) -> str:
    try:
        engine = backend(variant.engine)
    except EdgewardError as error:
        return f"needs the engine {variant.engine!r}: {error.what}"
    if engine is None:
        known = ", ".join(sorted(plugins.installed(plugins.ENGINES)))
        return f"needs the engine {variant.engine!r}, installed are {known}"
    try:
        found = engine.capabilities()
    except Exception as error:
        return f"needs the engine {variant.engine!r}: asking it failed: {first_line(error)}"
    if found.available:
        return _other_version(variant, found.version)
    return f"needs the engine {variant.engine!r}: {found.reason}"


def _other_version(variant: Variant, version: str) -> str:
    if not variant.engine_version or engine_version.fits(variant.engine_version, version):
        return ""
    there = f"this is {version}" if version else "this one does not say its version"
    return f"needs the engine {variant.engine!r} {variant.engine_version}, {there}"


def choose(manifest: Manifest, options: EngineOptions, *, where: str) -> Variant:
    """The first variant that this host can run, in the author's order, or the one that was asked for.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` with the reason of each variant.
    """
    reasons = []
    for variant in manifest.variants:
        if options.variant and variant.id != options.variant:
            continue
        reason = missing(variant, options.profile)
        if not reason:
            return variant
        reasons.append(f"variant {variant.id!r} {reason}")
    if options.variant and not reasons:
        ids = ", ".join(variant.id for variant in manifest.variants)
        raise EdgewardError(
            Code.ENGINE_UNAVAILABLE,
            f"there is no variant {options.variant!r}, there are {ids}",
            where=where,
            remedy="correct the name of the variant",
        )
    raise EdgewardError(
        Code.ENGINE_UNAVAILABLE,
        "; ".join(reasons),
        where=where,
        remedy="install the engine, or add a variant for this board to the bundle",
    )


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> Engine:
    """Load a model with the engine of ``variant``.

    Raises:
        EdgewardError: ``MODEL_LOAD`` when the engine refuses the file, ``MODEL_MISMATCH`` when its
            tensors are not those of the manifest, ``ENGINE_UNAVAILABLE`` when the engine or a provider that
            was forced is not there.
    """
    found = backend(variant.engine)
    if found is None:
        raise EdgewardError(
            Code.ENGINE_UNAVAILABLE,
            missing(variant),
            where=where,
            remedy="install the engine",
        )
    with guarded(Code.MODEL_LOAD, where=where):
        loaded = found.load(variant, files, options, where=where)
        provider: object = loaded.provider
        if not isinstance(provider, str):
            message = f"its provider is {provider!r}, no text"
            raise TypeError(message)
        return loaded


@contextmanager
def guarded(code: Code, *, where: str) -> Iterator[None]:
    """Whatever an engine raises inside comes out as an ``EdgewardError``: plug-ins are somebody else's code.

    Even ``SystemExit``, which some vendors' libraries raise, and which would end a thread without a word.
    """
    try:
        yield
    except EdgewardError:
        raise
    except (Exception, SystemExit) as error:
        what = f"the engine failed ({type(error).__name__}): {first_line(error)}"
        remedy = "check the memory that is free, and ask the author of the engine's package"
        raise EdgewardError(code, what, where=where, remedy=remedy) from error


def allocate(dtype: str, shape: Sequence[int]) -> Array:
    """A zeroed C-contiguous buffer on a 64-byte boundary, which SIMD loads and onnxruntime like."""
    wanted = np.dtype(dtype)
    size = math.prod(shape) * wanted.itemsize
    raw = np.zeros(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(wanted).reshape(shape)


def sizes(variant: Variant, batch: int) -> Mapping[str, int]:
    """A number for each symbolic dimension of the inputs: as the variant declares, ``batch`` for the rest."""
    names = {size for spec in variant.inputs for size in spec.shape if isinstance(size, str)}
    return {name: variant.dimensions.get(name, batch) for name in names}


def batchable(variant: Variant) -> bool:
    """Whether the device may choose how many pictures go in at a time."""
    return any(
        spec.feed == "picture" and isinstance(spec.shape[0], str) and spec.shape[0] not in variant.dimensions
        for spec in variant.inputs
        if spec.shape
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for engines whose errors are pages long."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
