"""What a guess at a model's decoder consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from runtime.authoring.conventions import Convention
from runtime.authoring.model_file import Output
from runtime.bundle.decoders import BoxUnits, Decoder
from runtime.engine import Array


class Guess(NamedTuple):
    """A decoder that fits the outputs.

    Attributes:
        decoder: the declaration.
        outputs: indices of the model's outputs in the decoder's order.
        classes: how many labels there are; 0 where the decoder has none, None where nobody can know.
        labels: their names where the family has always the same ones.
        reason: why it is this one.
        convention: how such a model is usually fed.
        instead: other decoders that fit the same outputs, and what would speak for them.
        unknown: what the file does not say, and how to find out.
    """

    decoder: Decoder
    outputs: tuple[int, ...]
    classes: int | None
    reason: str
    convention: Convention
    labels: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Facts(NamedTuple):
    """What a recogniser looks at: outputs, the picture's size in the tensor, what the file says of itself."""

    outputs: tuple[Output, ...]
    width: int
    height: int
    notes: Mapping[str, str]
    labels: int

    def rows(self, *strides: int) -> int:
        """Cells of all grids of these strides."""
        return sum(cells(self, stride) for stride in strides)

    def single(self, dimensions: int) -> Output | None:
        """The only output, when it has so many dimensions and the first is one picture."""
        if len(self.outputs) != 1:
            return None
        output = self.outputs[0]
        return output if len(output.shape) == dimensions and output.shape[0] == 1 else None


# Correlation of places of boxes and of cells; heads that are decoded have nearly 1.
_ON_THE_GRID = 0.5
NO_BOXES = (
    "[postprocess]: for noise the first four numbers do not lie about their cells, as decoded boxes do: "
    "perhaps these are no boxes at all, and a tensors decoder is right"
)


def cells(facts: Facts, stride: int) -> int:
    """Of one grid; one that does not divide the input covers it."""
    return -(-facts.width // stride) * -(-facts.height // stride)


def probabilities(values: Array) -> bool:
    """Whether all values are 0 to 1; a model may have found nothing in noise, and then there are none."""
    return bool(np.isfinite(values).all() and largest(-values) <= 1e-4 and largest(values) <= 1.0001)


def largest(values: Array) -> float:
    """The largest finite value, at least 0."""
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def whole(values: Array) -> bool:
    """Whether all values are whole numbers."""
    return bool(np.isfinite(values).all() and np.array_equal(values, values.round()))


def sums_to_one(values: Array, axis: int) -> bool:
    """Whether the values along ``axis`` are the probabilities of one choice."""
    if values.size == 0 or values.shape[axis] < 2 or not probabilities(values):
        return False
    # Outputs of 8 bits are off by half a step for each class at most; few are not zero.
    return largest(np.abs(values.sum(axis=axis) - 1)) < 0.05


def columns(output: Output, rows: int) -> tuple[int, Array] | None:
    """Of ``[1, N, K]`` or ``[1, K, N]`` with ``N = rows``: K, and the values as ``[N, K]``."""
    _, first, second = output.shape
    if first == rows:
        return second, output.values[0]
    return (first, output.values[0].T) if second == rows else None


def units(boxes: Array) -> BoxUnits:
    """``fraction`` when boxes of the noise picture stay within the unit square, else ``pixels``."""
    return "fraction" if largest(np.abs(boxes)) <= 4 else "pixels"


def off_the_grid(facts: Facts, boxes: Array, strides: Sequence[int]) -> bool:
    """Whether box centres ``[N, 2+]`` do not lie about the cells that they stand for, one row a cell.

    They do for any picture where boxes come decoded, whatever their unit.
    """
    if len(boxes) != facts.rows(*strides) or not np.isfinite(boxes[:, :2]).all():
        return True
    places = []
    for stride in strides:
        rows, across = -(-facts.height // stride), -(-facts.width // stride)
        y, x = np.mgrid[:rows, :across]
        places.append(np.stack([x.ravel() * stride, y.ravel() * stride], axis=1))
    cells_at = np.concatenate(places).astype(np.float64)
    for axis in (0, 1):
        given = boxes[:, axis].astype(np.float64)
        if cells_at[:, axis].std() == 0:
            continue  # one column or row: nothing to see
        if given.std() == 0 or np.corrcoef(given, cells_at[:, axis])[0, 1] < _ON_THE_GRID:
            return True
    return False


def by_shape(outputs: Sequence[Output], *last: int) -> list[int]:
    """Indices of outputs ``[1, N, last]``, largest N first, else in the file's order."""
    found = [at for at, one in enumerate(outputs) if len(one.shape) == 3 and one.shape[2] in last]
    return sorted(found, key=lambda at: -outputs[at].shape[1])
