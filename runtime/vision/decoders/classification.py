"""Classes of the whole picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

import native
from runtime.bundle.decoders import Classification
from runtime.engine import Array, allocate
from runtime.findings import Classified, Findings
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.finite import not_numbers
from runtime.vision.placement import Placement


@decodes(Classification)
class ClassificationDecoder:
    """The best classes of one score each, ``[1, C]`` or ``[1, C, 1, 1]`` and the like, float32.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Classification, context: Context) -> None:
        count = len(context.labels)
        shape = context.outputs[0].shape
        if context.outputs[0].dtype != "float32" or None in shape or math.prod(shape[1:]) != count:  # type: ignore[arg-type]
            raise context.expect("classification", f"float32 {[1, count]}, with further dimensions of 1")
        self._spec = spec
        self._labels = context.labels
        self._where = context.where
        self._threshold = context.threshold(spec.score_threshold)
        self._powers = allocate("float32", (count,))

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:  # noqa: ARG002 - the same wherever it is
        """See ``Decoder``."""
        raw = outputs[0].reshape(-1)
        # All activations keep the order, so that only the best need theirs.
        indices, best, broken = native.top_k(raw, self._spec.top_k)
        if broken:
            raise not_numbers(f"{broken} class scores", where=self._where)
        scores = self._activated(raw, best)
        return Findings(
            classes=tuple(
                Classified(self._labels[index], score)
                for index, score in zip(indices.tolist(), scores.tolist(), strict=True)
                if score >= self._threshold
            )
        )

    def _activated(self, raw: Array, best: Array) -> Array:
        """The scores of the ``best`` of ``raw``; both best first."""
        if self._spec.activation == "softmax":
            # Less the largest, so that no exponential overflows.
            np.subtract(raw, best[0], out=self._powers)
            np.exp(self._powers, out=self._powers)
            scores: Array = np.exp(best - best[0]) / self._powers.sum()
            return scores
        if self._spec.activation == "sigmoid":
            # 1 / (1 + exp(-x)) as half of 1 + tanh(x / 2), which overflows nowhere.
            return (np.tanh(best / 2) + 1) / 2
        return best
