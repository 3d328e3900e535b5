"""Inference engines: one file an engine behind one small interface, loaded only when it is named."""

from __future__ import annotations

import importlib
import importlib.util
import math
import platform
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.manifest import Manifest, Variant
from runtime.errors import Code, EdgewardError

Array = NDArray[Any]

# Name in the manifest -> (our module, the package that it needs).
_ENGINES = {"onnxruntime": ("runtime.engine.onnx", "onnxruntime")}


class Engine(Protocol):
    """A loaded model with kept input and output buffers: fill ``inputs``, ``run``, read ``outputs``."""

    provider: str
    inputs: Sequence[Array]
    outputs: Sequence[Array]

    def run(self) -> None:
        """One inference over the kept buffers; raises ``EdgewardError`` (``MODEL_RUN``)."""

    def close(self) -> None:
        """Give the model's memory back; the buffers stay readable."""


def missing(variant: Variant) -> str:
    """Why this host cannot run ``variant``; empty when it can."""
    if variant.arch and platform.machine() not in variant.arch:
        return f"is for {', '.join(variant.arch)}, this is {platform.machine()}"
    if variant.engine not in _ENGINES:
        return f"needs the engine {variant.engine!r}, known are {', '.join(sorted(_ENGINES))}"
    package = _ENGINES[variant.engine][1]
    if importlib.util.find_spec(package) is None:
        return f"needs the package {package!r}, which is not installed"
    return ""


def choose(manifest: Manifest, *, where: str) -> Variant:
    """The first variant that this host can run, in the author's order.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` with the reason of each variant.
    """
    reasons = []
    for variant in manifest.variants:
        reason = missing(variant)
        if not reason:
            return variant
        reasons.append(f"variant {variant.id!r} {reason}")
    raise EdgewardError(
        Code.ENGINE_UNAVAILABLE,
        "; ".join(reasons),
        where=where,
        remedy="install the engine, or add a variant for this board to the bundle",
    )


def load(variant: Variant, model: bytes, *, threads: int, where: str) -> Engine:
    """Load ``model`` with the engine of ``variant``.

    Raises:
        EdgewardError: ``MODEL_LOAD`` when the engine refuses the file, ``MODEL_MISMATCH`` when its
            tensors are not those of the manifest.
    """
    module = importlib.import_module(_ENGINES[variant.engine][0])
    engine: Engine = module.load(variant, model, threads=threads, where=where)
    return engine


def allocate(dtype: str, shape: Sequence[int]) -> Array:
    """A zeroed C-contiguous buffer on a 64-byte boundary, which SIMD loads and onnxruntime like."""
    wanted = np.dtype(dtype)
    size = math.prod(shape) * wanted.itemsize
    raw = np.zeros(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(wanted).reshape(shape)
