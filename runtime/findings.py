"""What a model found in one picture: plain records, shared with the agent."""

from __future__ import annotations

import msgspec


class Keypoint(msgspec.Struct, frozen=True, array_like=True):
    """A named point in pixels of the source picture, score 0..1."""

    name: str
    x: float
    y: float
    score: float


class Mask(msgspec.Struct, frozen=True, array_like=True):
    """Which cells of a grid over ``box`` (``x1, y1, x2, y2``, source pixels) belong to the object.

    ``runs``: lengths of runs, row by row from the top left, outside first, then inside, by turns;
    they sum up to ``width * height`` (cells).
    """

    box: tuple[float, float, float, float]
    width: int
    height: int
    runs: tuple[int, ...]


class Classified(msgspec.Struct, frozen=True, array_like=True):
    """A class of the whole picture: label and score 0..1."""

    label: str
    score: float


class Segmentation(msgspec.Struct, frozen=True, kw_only=True):
    """A class for each cell of a grid over ``box`` (``x1, y1, x2, y2``, source pixels).

    ``runs``: pairs of label index (-1: none) and length, row by row from the top left. ``shares``: part
    of the grid of each label that occurs, 0..1.
    """

    box: tuple[float, float, float, float]
    width: int
    height: int
    runs: tuple[tuple[int, int], ...]
    shares: dict[str, float]


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A raw output: NumPy's name of the dtype, shape, and the elements in C order, little-endian."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Findings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that one model found in one picture or crop; what its task does not give is empty."""

    detections: tuple[Detection, ...] = ()
    classes: tuple[Classified, ...] = ()
    segmentation: Segmentation | None = None
    embedding: tuple[float, ...] = ()
    tensors: tuple[Tensor, ...] = ()


class Inside(msgspec.Struct, frozen=True, array_like=True):
    """What a cascade's stage found in the crop of a detection, in pixels of the source picture."""

    stage: str
    findings: Findings


class Detection(msgspec.Struct, frozen=True, array_like=True):
    """One object: class label, score 0..1, box ``x1, y1, x2, y2`` in pixels of the source picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    keypoints: tuple[Keypoint, ...] = ()
    mask: Mask | None = None
    inside: tuple[Inside, ...] = ()
