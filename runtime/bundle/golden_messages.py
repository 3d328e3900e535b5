"""What ``pack`` and the process that makes golden frames and results say to each other, as lines of JSON."""

from __future__ import annotations

import msgspec

from runtime.bundle.ingested import Refusal
from runtime.bundle.manifest import Manifest
from runtime.bundle.metrics import Metric

GOLDEN_FOLDER = "golden"
FRAMES = GOLDEN_FOLDER + "/frames-{}.y4m"
RESULTS = GOLDEN_FOLDER + "/results.json"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made, on the child's standard input.

    Attributes:
        folder: the author's, with the model and the pictures.
        into: where the folder ``golden`` is made.
        toml: the path of ``bundle.toml``, for errors.
        frames: as in ``[golden]``.
        reference: id of the variant that answers; empty: the child chooses.
        metric: that the bundle will have.
        manifest: of the bundle, without its golden part.
    """

    folder: str
    into: str
    toml: str
    frames: tuple[str, ...]
    reference: str
    metric: Metric
    manifest: Manifest


class Making(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How many frames of how many are done."""

    doing: str
    done: int
    total: int


class GoldenMade(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was made.

    Attributes:
        files: the ``.y4m`` files, by their names in the bundle.
        sources: of each frame what the author called it.
        reference: the variant that answered.
        precision: its precision.
        engine: what ran it, with the version.
        findings: detections, classes and so on that count, in all frames.
        empty: frames in which nothing counts.
        alike: a model that answers always as to one of the frames would pass.
        seconds: that the reference path took.
    """

    files: tuple[str, ...]
    sources: tuple[str, ...]
    reference: str
    precision: str
    engine: str
    findings: int
    empty: int
    alike: bool
    seconds: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The child ends with an error of the author's."""

    error: Refusal


FromChild = Making | GoldenMade | Failed
