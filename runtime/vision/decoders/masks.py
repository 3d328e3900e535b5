"""Run-length codes of grids: masks and segmentations without their cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runtime.engine import Array, allocate


class Coded(NamedTuple):
    """A grid as runs of equal values, row by row from the top left.

    Attributes:
        values: of each run.
        lengths: of each run, in cells; their sum is ``width * height``.
        width: of the grid that was coded, cells.
        height: the same downwards.
        step: how many cells of the grid that was given a coded cell is wide and high.
    """

    values: list[int]
    lengths: list[int]
    width: int
    height: int
    step: int


class RunCoder:
    """Keeps its buffers between pictures.

    Args:
        cells: of the largest grid.
        dtype: of the grids.
    """

    def __init__(self, cells: int, dtype: str) -> None:
        self._flat = allocate(dtype, (cells,))
        self._begins = allocate("bool", (cells,))

    def code(self, grid: Array, *, most: int) -> Coded:
        """Code a grid.

        Args:
            grid: ``[h, w]``, not empty, of at most the cells that were announced.
            most: runs, 1 or more. A grid with more (noise) is halved by leaving out rows and columns until it
                has no more, since a result must fit into a message.
        """
        step = 1
        while True:
            part = grid[::step, ::step]
            flat = self._flat[: part.size]
            begins = self._begins[: part.size]
            np.copyto(flat.reshape(part.shape), part)
            begins[0] = True
            np.not_equal(flat[1:], flat[:-1], out=begins[1:])
            starts = np.flatnonzero(begins)
            if starts.size <= most:
                lengths = np.diff(starts, append=part.size).tolist()
                return Coded(flat[starts].tolist(), lengths, part.shape[1], part.shape[0], step)
            step *= 2
