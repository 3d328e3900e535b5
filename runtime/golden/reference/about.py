"""What all decoders of the reference path must know, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import Code, EdgewardError
from runtime.golden.reference.heads import Head

Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class About:
    """What decoders must know of the bundle: see ``runtime.vision.decoders.Context``."""

    labels: tuple[str, ...]
    width: int
    height: int
    read: Callable[[str], bytes]
    where: str

    @property
    def head(self) -> Head:
        """The same, as heads want it."""
        return Head(len(self.labels), self.width, self.height, self.read)


def must_be_numbers(values: Floats, about: About) -> None:
    """Raise ``MODEL_RUN`` for NaN and infinity: that is not "nothing seen"."""
    broken = int(np.count_nonzero(~np.isfinite(values)))
    if broken:
        what = f"the model gave {broken} values that are not numbers"
        remedy = "correct the model: a bundle must not give such results"
        raise EdgewardError(Code.MODEL_RUN, what, where=about.where, remedy=remedy)
