"""Decoders: from a model's output tensors to findings in the picture's pixels. One file a family.

``build`` finds the decoder of a declaration of ``runtime.bundle.decoders``. Adding one is adding its
declaration there and a module here whose functions carry ``@decodes``; another package adds one by an entry
point of the group ``edgeward.decoders`` (manifest: ``decoder = "plugin"``).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from runtime.bundle import decoders as declared
from runtime.bundle import plugins
from runtime.engine import Array, first_line
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.vision.placement import Placement


class Decoder(Protocol):
    """Reads one picture's outputs. Keeps what it needs between frames; one inference thread owns it."""

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """What the outputs say.

        Args:
            outputs: in the manifest's order, each with a leading dimension of 1; float32, or int32 and int64
                as the model gives them.
            place: where the picture lies in the input tensor.

        Raises:
            EdgewardError: ``MODEL_RUN`` when the outputs are not finite: that is not "nothing seen".
            ValueError: a shape that the model itself chose does not fit.
        """


def as_score(threshold: float) -> float:
    """The nearest float32: a score that is equal to it passes, whichever of the two is the wider."""
    return float(np.float32(threshold))


@dataclass(frozen=True, slots=True)
class Context:
    """What a decoder is built from.

    Attributes:
        labels: class names in the order of the model's outputs.
        width: of the input tensor, pixels.
        height: of the input tensor, pixels.
        outputs: name, dtype (after conversion: float32, int32 or int64) and shape of each output for one
            picture; a size that the model decides is None.
        score_threshold: 0..1, instead of the manifest's, or None.
        read: gives the bytes of a file of the bundle, as they were signed.
        where: the bundle's name, for errors.
    """

    labels: tuple[str, ...]
    width: int
    height: int
    outputs: tuple[Output, ...]
    score_threshold: float | None
    read: Callable[[str], bytes]
    where: str

    def threshold(self, own: float) -> float:
        """The threshold to use: the user's, else the manifest's, as scores are kept.

        Those are float32: what is written as 0.35 is 0.34999999 there, and equal to a threshold of 0.35.
        """
        return as_score(own if self.score_threshold is None else self.score_threshold)

    def expect(self, decoder: str, expected: str) -> EdgewardError:
        """The error for outputs that the decoder does not read; ``expected`` says what it reads."""
        found = ", ".join(f"{output.dtype} {list(output.shape)}" for output in self.outputs)
        return EdgewardError(
            Code.BUNDLE_MANIFEST,
            f"the decoder {decoder} with {len(self.labels)} labels reads {expected}; the outputs are {found}",
            where=self.where,
            remedy="correct labels, decoder or the outputs' shapes in bundle.toml",
        )


@dataclass(frozen=True, slots=True)
class Output:
    """An output tensor for one picture; see ``Context``."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


Build = Callable[[Any, Context], Decoder]
T = TypeVar("T", bound=Build)
_registered: dict[type[declared.Decoder], Build] = {}


def decodes(declaration: type[declared.Decoder]) -> Callable[[T], T]:
    """Register what makes the decoder of ``declaration`` from it and a ``Context``: a class or a function."""

    def register(build: T) -> T:
        _registered[declaration] = build
        return build

    return register


def build(spec: declared.Decoder, context: Context) -> Decoder:
    """The decoder that a manifest declares.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when labels or outputs do not fit it, ``ENGINE_UNAVAILABLE`` when
            it is another package's and is not installed.
    """
    if isinstance(spec, declared.Plugin):
        return _plugin(spec, context)
    if type(spec) not in _registered:
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module(f"{__name__}.{module.name}")
    return _registered[type(spec)](spec, context)


def _plugin(spec: declared.Plugin, context: Context) -> Decoder:
    known = plugins.installed(plugins.DECODERS)
    if spec.name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise EdgewardError(
            Code.ENGINE_UNAVAILABLE,
            f"needs the decoder {spec.name!r} of another package, installed are: {names}",
            where=context.where,
            remedy="install the package that has it",
        )
    try:
        build: Build = known[spec.name].load()
        return build(spec, context)
    except EdgewardError:
        raise
    except Exception as error:
        # A plug-in is somebody else's code: whatever goes wrong in it is to be told as such.
        raise EdgewardError(
            Code.ENGINE_UNAVAILABLE,
            f"the decoder {spec.name!r} failed: {first_line(error)}",
            where=context.where,
            remedy="ask the author of its package",
        ) from error
