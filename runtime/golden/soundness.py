"""Whether findings are what they say of themselves: a file or a decoder may tell of a grid of petabytes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from runtime.findings import Findings, Mask, Segmentation, Tensor

# A cell for each pixel of 3840x2160.
MAX_CELLS = 1 << 23
MAX_LABELS = 10_000
_ITEM_SIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}


def of_grid(grid: Mask | Segmentation) -> str:
    """What is wrong with a mask or segmentation; empty when nothing is."""
    kind = "mask" if isinstance(grid, Mask) else "segmentation"
    what = f"a {kind} of {grid.width}x{grid.height} cells"
    if not (grid.width > 0 and grid.height > 0 and grid.width * grid.height <= MAX_CELLS):
        return f"{what}, of which there must be 1 to {MAX_CELLS}"
    lengths = grid.runs if isinstance(grid, Mask) else [length for _, length in grid.runs]
    # Added up one by one, for all of them but a few may be below zero.
    if any(length < 0 for length in lengths) or sum(lengths) != grid.width * grid.height:
        return f"{what} whose runs are not as many"
    if isinstance(grid, Segmentation) and not all(-1 <= label < MAX_LABELS for label, _ in grid.runs):
        return f"{what} with a class that there cannot be"
    return ""


def of_tensor(tensor: Tensor) -> str:
    """What is wrong with a raw output; empty when nothing is."""
    size = _ITEM_SIZES.get(tensor.dtype)
    if size is None:
        return f"a tensor of {tensor.dtype[:40]!r}"
    if any(side < 0 for side in tensor.shape) or math.prod(tensor.shape) * size != len(tensor.data):
        return f"a tensor of {tensor.dtype} {list(tensor.shape)} in {len(tensor.data)} bytes"
    return ""


def problems(findings: Findings) -> Iterator[str]:
    """Everything that is wrong with the findings of a frame."""
    for one in findings.detections:
        if one.mask is not None and (what := of_grid(one.mask)):
            yield what
    if findings.segmentation is not None and (what := of_grid(findings.segmentation)):
        yield what
    yield from filter(None, map(of_tensor, findings.tensors))
