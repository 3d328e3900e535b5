"""The outputs themselves, for models that somebody else decodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from runtime.bundle.decoders import Tensors
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings, Tensor
from runtime.vision.decoders import Context, Output, decodes
from runtime.vision.placement import Placement

MAX_BYTES = 1 << 20
_ITEM_BYTES = {"float32": 4, "int32": 4, "int64": 8}


@decodes(Tensors)
class TensorsDecoder:
    """All outputs, at most 1 MiB a frame; what is not a number is handed on like everything else.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the outputs are larger.
    """

    def __init__(self, spec: Tensors, context: Context) -> None:  # noqa: ARG002 - it has no keys
        self._names = [output.name for output in context.outputs]
        self._where = context.where
        size = sum(map(_bytes, context.outputs))
        if size > MAX_BYTES:
            raise EdgewardError(
                Code.BUNDLE_MANIFEST,
                f"the decoder tensors hands on at most {MAX_BYTES} bytes a frame, the outputs have {size}",
                where=context.where,
                remedy="declare the outputs that are needed, or use the decoder that reads them",
            )

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:  # noqa: ARG002 - the same wherever it is
        """See ``Decoder``; raises ``EdgewardError`` (``MODEL_RUN``) when the model decides on too much."""
        size = sum(output.nbytes for output in outputs)
        if size > MAX_BYTES:
            raise EdgewardError(
                Code.MODEL_RUN,
                f"the model gave {size} bytes, over the {MAX_BYTES} that a result may have",
                where=self._where,
                remedy="ask the bundle's author for a model that gives less",
            )
        return Findings(
            tensors=tuple(
                Tensor(
                    name=name,
                    dtype=output.dtype.name,
                    shape=output.shape,
                    data=output.astype(output.dtype.newbyteorder("<"), copy=False).tobytes(),
                )
                for name, output in zip(self._names, outputs, strict=True)
            )
        )


def _bytes(output: Output) -> int:
    """At least so many: of a size that the model decides nothing is known."""
    return math.prod(size or 0 for size in output.shape) * _ITEM_BYTES[output.dtype]
