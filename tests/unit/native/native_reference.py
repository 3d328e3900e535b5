"""The definition of fused preprocessing in float64 NumPy, written without looking at the kernels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


@dataclass
class Case:
    """One picture and one plan."""

    format: str
    width: int
    height: int
    out_width: int
    out_height: int
    crop: tuple[int, int, int, int] | None = None
    matrix: str = "bt601"
    full_range: bool = False
    fit: str = "letterbox"
    sampling: str = "bilinear"
    pad: tuple[float, float, float] = (114.0, 114.0, 114.0)
    order: str = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    scale: float = 1.0
    dtype: str = "float32"
    layout: str = "nchw"
    quant_scale: float = 1.0
    quant_zero_point: int = 0
    stride_extra: int = field(default=0, metadata={"not_in_plan": True})
    seed: int = field(default=0, metadata={"not_in_plan": True})

    def plan_arguments(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"stride_extra", "seed"}}

    def channels(self) -> int:
        return 1 if self.order == "gray" else 3

    def shape(self) -> tuple[int, ...]:
        if self.layout == "nchw":
            return (1, self.channels(), self.out_height, self.out_width)
        return (1, self.out_height, self.out_width, self.channels())


def picture(case: Case) -> tuple[list[Bytes], list[Bytes], list[int]]:
    """Sample grids (rows, columns, components), the flat planes that carry them, and their strides."""
    rng = np.random.default_rng(case.seed)
    chroma = ((case.height + 1) // 2, (case.width + 1) // 2)
    shapes = {
        "i420": [(case.height, case.width, 1), (*chroma, 1), (*chroma, 1)],
        "nv12": [(case.height, case.width, 1), (*chroma, 2)],
        "bgr24": [(case.height, case.width, 3)],
    }[case.format]
    grids = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    planes, strides = [], []
    for grid in grids:
        rows = grid.reshape(grid.shape[0], -1)
        # What lies between the rows must never be seen: it is full of another value.
        padded = np.full((rows.shape[0], rows.shape[1] + case.stride_extra), 255, np.uint8)
        padded[:, : rows.shape[1]] = rows
        planes.append(padded.reshape(-1))
        strides.append(padded.shape[1])
    return grids, planes, strides


def resize(grid: Floats, begin: int, length: int, outputs: int, subsampling: int, axis: int) -> Floats:
    """Bilinear along one axis, from [begin, begin + length) of full-resolution positions."""
    centres = begin + (np.arange(outputs) + 0.5) * length / outputs
    last = begin + length - 1
    at = np.clip(centres - 0.5, begin, last)
    left = np.floor(at).astype(int)
    right = np.minimum(left + 1, last)
    weight = (at - left).reshape(-1, *([1] * (grid.ndim - 1 - axis)))
    # A sample of a coarser grid counts for every position that it covers.
    left, right = left // subsampling, right // subsampling
    return np.take(grid, left, axis) * (1 - weight) + np.take(grid, right, axis) * weight


def average(grid: Floats, begin: int, length: int, outputs: int, subsampling: int, axis: int) -> Floats:
    """Each output is the mean of what it covers of [begin, begin + length); bilinear where it enlarges."""
    if outputs >= length:
        return resize(grid, begin, length, outputs, subsampling, axis)
    edges = begin + np.arange(outputs + 1) * length / outputs
    positions = np.arange(begin, begin + length)
    covered = np.minimum(positions + 1, edges[1:, None]) - np.maximum(positions, edges[:-1, None])
    weights = np.maximum(covered, 0) * outputs / length
    return np.moveaxis(
        np.tensordot(weights, np.take(grid, positions // subsampling, axis), (1, axis)), 0, axis
    )


def to_gray(case: Case, components: list[Floats]) -> Floats:
    if case.format == "bgr24":
        return components[0] @ np.array([[0.114], [0.587], [0.299]])
    luma = components[0]
    return luma if case.full_range else np.clip((luma - 16) * 255 / 219, 0, 255)


def to_rgb(case: Case, components: list[Floats]) -> Floats:
    if case.format == "bgr24":
        return components[0][..., ::-1]
    if case.format == "nv12":
        components = [components[0], components[1][..., :1], components[1][..., 1:]]
    y, cb, cr = (component[..., 0] for component in components)
    kr, kb = (0.299, 0.114) if case.matrix == "bt601" else (0.2126, 0.0722)
    if case.full_range:
        y, cb, cr = y / 255, (cb - 128) / 255, (cr - 128) / 255
    else:
        y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red = y + 2 * (1 - kr) * cr
    blue = y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], -1) * 255, 0, 255)


def used(case: Case) -> tuple[int, int, int, int]:
    """x, y, width, height of the part of the source that is used."""
    x, y, width, height = case.crop or (0, 0, case.width, case.height)
    if case.fit != "crop":
        return x, y, width, height
    ratio = max(case.out_width / width, case.out_height / height)
    new_width = max(1, min(width, round(case.out_width / ratio)))
    new_height = max(1, min(height, round(case.out_height / ratio)))
    return x + (width - new_width) // 2, y + (height - new_height) // 2, new_width, new_height


def placement(case: Case) -> tuple[int, int, int, int]:
    """Left, top, width, height of the picture within the tensor."""
    _, _, width, height = case.crop or (0, 0, case.width, case.height)
    if case.fit in {"stretch", "crop"}:
        return 0, 0, case.out_width, case.out_height
    ratio = min(case.out_width / width, case.out_height / height)
    new_width = max(1, min(case.out_width, round(width * ratio)))
    new_height = max(1, min(case.out_height, round(height * ratio)))
    if case.fit == "letterbox_topleft":
        return 0, 0, new_width, new_height
    return (case.out_width - new_width) // 2, (case.out_height - new_height) // 2, new_width, new_height


def values(case: Case, grids: list[Bytes]) -> Floats:
    """The tensor as (height, width, channels), normalised, before pixels are rounded and it is quantised."""
    x, y, width, height = used(case)
    left, top, new_width, new_height = placement(case)
    scaled = average if case.sampling == "area" else resize
    resized = []
    for grid in grids:
        subsampling = 1 if grid is grids[0] else 2
        limited_luma = grid is grids[0] and case.format != "bgr24" and not case.full_range
        levels = np.maximum(grid.astype(np.float64), 16 if limited_luma else 0)
        rows = scaled(levels, y, height, new_height, subsampling, 0)
        resized.append(scaled(rows, x, width, new_width, subsampling, 1))
    channels = case.channels()
    pixels = to_gray(case, resized) if channels == 1 else to_rgb(case, resized)
    if case.order == "bgr":
        pixels = pixels[..., ::-1]
    tensor = np.empty((case.out_height, case.out_width, channels))
    tensor[:] = case.pad[:channels]
    tensor[top : top + new_height, left : left + new_width] = pixels
    return (tensor * case.scale - np.asarray(case.mean[:channels])) / np.asarray(case.std[:channels])


def in_layout(case: Case, tensor: NDArray[Any]) -> NDArray[Any]:
    return (tensor.transpose(2, 0, 1) if case.layout == "nchw" else tensor)[None]
