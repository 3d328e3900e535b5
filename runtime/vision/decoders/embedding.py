"""A vector that stands for what the picture shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from runtime.bundle.decoders import Embedding
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.finite import all_finite, not_numbers
from runtime.vision.placement import Placement

MAX_LENGTH = 65536


@decodes(Embedding)
class EmbeddingDecoder:
    """``[1, D]`` or ``[1, D, 1, 1]`` and the like, float32, at most 65536 long.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Embedding, context: Context) -> None:
        shape = context.outputs[0].shape
        sizes = [size for size in shape[1:] if size != 1]
        length = 1 if not sizes else sizes[0]
        if (
            context.outputs[0].dtype != "float32"
            or len(shape) < 2
            or len(sizes) > 1
            or length is None
            or length > MAX_LENGTH
        ):
            what = f"float32 [1, D] with D at most {MAX_LENGTH}, with further dimensions of 1"
            raise context.expect("embedding", what)
        self._normalise = spec.normalise
        self._where = context.where

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:  # noqa: ARG002 - the same wherever it is
        """See ``Decoder``."""
        vector = outputs[0].reshape(-1)
        if not all_finite(vector):
            count = int(np.count_nonzero(~np.isfinite(vector)))
            raise not_numbers(f"{count} elements of the embedding", where=self._where)
        if self._normalise:
            # In float64: the squares of large float16 features overflow float32 too, and so may the length.
            vector = vector.astype(np.float64)
            length = math.sqrt(float(np.dot(vector, vector)))
            if length == 0:
                raise EdgewardError(
                    Code.MODEL_RUN,
                    "the model gave an embedding of zeros, which has no direction",
                    where=self._where,
                    remedy="set postprocess.normalise = false if that is meant, else ask the bundle's author",
                )
            vector = vector / length
        return Findings(embedding=tuple(vector.tolist()))
