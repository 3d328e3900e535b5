"""Decoders of other packages: whatever they do, what comes out is findings or an error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from runtime.engine import Array, first_line
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.vision.decoders import Decoder
from runtime.vision.placement import Placement

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Findings)


class ForeignDecoder:
    """A decoder of a plug-in, under watch; see ``runtime.vision.decoders.Decoder``.

    Its findings go the way that they go to the agent once more beforehand: a number of NumPy's in a box, or a
    label that is no text, would otherwise end the worker there.
    """

    def __init__(self, decoder: Decoder, *, where: str) -> None:
        self._inner = decoder
        self._where = where

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``; all else that it raises, and findings that are none, are ``MODEL_RUN``."""
        try:
            found = _decoder.decode(_encoder.encode(self._inner.decode(outputs, place)))
        except EdgewardError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failed(f"the decoder failed ({type(error).__name__}): {first_line(error)}") from error
        for detection in found.detections:
            if not all(map(math.isfinite, (detection.score, *detection.box))):
                raise self._failed("the decoder gave a detection whose box or score is no number")
        return found

    def _failed(self, what: str) -> EdgewardError:
        remedy = "ask the author of its package"
        return EdgewardError(Code.MODEL_RUN, what, where=self._where, remedy=remedy)
