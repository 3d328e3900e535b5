"""A decoder without an engine: built from a declaration and the outputs that it is to read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtime.bundle.decoders import Decoder as Declaration
from runtime.engine import Array
from runtime.findings import Findings
from runtime.vision import decoders
from runtime.vision.decoders import Context, Decoder, Output
from runtime.vision.placement import Placement

# A 64x64 picture in a 32x32 tensor, nothing padded.
HALF = Placement(0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 64, 64)


def context(
    *outputs: Output, labels: Sequence[str] = ("thing",), score_threshold: float | None = None
) -> Context:
    return Context(
        labels=tuple(labels),
        width=32,
        height=32,
        outputs=outputs,
        score_threshold=score_threshold,
        read=lambda path: b"",
        where="made",
    )


def described(*arrays: Array) -> tuple[Output, ...]:
    return tuple(Output(f"output{at}", array.dtype.name, array.shape) for at, array in enumerate(arrays))


def build(
    spec: Declaration,
    *arrays: Array,
    labels: Sequence[str] = ("thing",),
    score_threshold: float | None = None,
) -> Decoder:
    return decoders.build(spec, context(*described(*arrays), labels=labels, score_threshold=score_threshold))


def decode(
    spec: Declaration,
    *arrays: Array,
    labels: Sequence[str] = ("thing",),
    place: Placement = HALF,
    score_threshold: float | None = None,
) -> Findings:
    return build(spec, *arrays, labels=labels, score_threshold=score_threshold).decode(arrays, place)


def random(*shape: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
