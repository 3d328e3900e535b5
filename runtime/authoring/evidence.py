"""The frames by which an int8 model is calibrated, and those by which it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.authoring import footage
from runtime.authoring.child import Progress
from runtime.bundle.author import AUTHOR_NAME, Author
from runtime.bundle.decoders import tasks
from runtime.bundle.metrics import (
    CellsAgree,
    ClassesAgree,
    DetectionsAgree,
    Metric,
    TensorsAgree,
    VectorsAgree,
    metrics,
)
from runtime.bundle.pack_golden import clear_of
from runtime.engine import package
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.inference import Inference, View
from runtime.source.frame import Frame

# Where there is no golden set every so manieth frame judges and does not calibrate.
HELD_OUT = 4

KEPT: dict[type[Metric], tuple[str, str]] = {
    DetectionsAgree: ("matched", "min_matched"),
    ClassesAgree: ("matched", "min_matched"),
    TensorsAgree: ("share", "min_share"),
    CellsAgree: ("share", "min_share"),
    VectorsAgree: ("min_cosine", "min_cosine"),
}
"""Which figure of a metric says how much accuracy is kept, and the field with its bound."""


def metric_of(author: Author, min_kept: float | None) -> Metric:
    """The golden set's metric, else the usual one of the task, with the bound that was asked for."""
    decoder = author.postprocess
    task = author.bundle.task or tasks(decoder)[0]
    own = author.golden.metric if author.golden is not None else None
    metric = clear_of(own or metrics(task, decoder)[0](), [decoder])
    if min_kept is not None:
        metric = msgspec.structs.replace(metric, **{KEPT[type(metric)][1]: min_kept})
    return metric


def golden_frames(author: Author, folder: Path) -> list[Frame]:
    """The planes of the author's golden frames, as ``pack`` makes them; none without a ``[golden]``.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` for frames that cannot be had; ``ENGINE_UNAVAILABLE`` without OpenCV.
    """
    if author.golden is None:
        return []
    # It imports OpenCV, which nothing else here needs.
    package.find("cv2", install="pip install 'edgeward[author]'")
    from runtime.golden import author_frames  # noqa: PLC0415

    toml = str(folder / AUTHOR_NAME)
    wanted = author_frames.wanted(author.golden.frames, folder, toml=toml)
    frames = []
    for at, (_, picture, planes) in enumerate(author_frames.decoded(wanted, folder, toml=toml)):
        strides = (picture.width, picture.width // 2, picture.width // 2)
        frames.append(Frame(picture, planes, strides, index=at, session=at, pts_s=None, arrived_ns=0))
    return frames


def seen(inference: Inference, frame: Frame) -> Findings:
    """What it finds in a frame.

    Raises:
        EdgewardError: ``MODEL_RUN`` and the like.
    """
    (found,) = inference.look([View(frame, "author")])
    if isinstance(found, EdgewardError):
        raise found
    return found


def gather(
    golden: Sequence[Frame],
    calibrate: Sequence[Path],
    wanted: int,
    recorder: Inference,
    progress: Progress,
) -> tuple[list[Frame], int]:
    """Show ``recorder`` the frames that calibrate; returns those that judge, and how many calibrated.

    With golden frames all others calibrate; without, one in ``HELD_OUT`` is kept back to judge. Golden frames
    alone do both.

    Raises:
        EdgewardError: ``SOURCE_*``, ``MODEL_RUN``; ``USAGE`` when too few are left.
    """
    judging = list(golden)
    calibrated = 0
    files = footage.files(calibrate)
    for at, frame in enumerate(footage.spread(files, wanted, progress) if files else golden):
        if not golden and at % HELD_OUT == HELD_OUT - 1:
            judging.append(frame)
        else:
            seen(recorder, frame)
            calibrated += 1
    if not judging:
        what = f"argument --calibrate: {calibrated} frame{'s' if calibrated != 1 else ''} in all"
        remedy = f"give {HELD_OUT} at least, 50 and more are better: one in {HELD_OUT} is kept back to judge"
        raise EdgewardError(Code.USAGE, what, where="edgeward bundle quantize", remedy=remedy)
    return judging, calibrated


def check_telling(expected: Sequence[Findings], metric: Metric, *, where: str) -> None:
    """Refuse frames in which there is nothing to lose: whatever an int8 model did, it would pass.

    Raises:
        EdgewardError: ``USAGE``.
    """
    if not isinstance(metric, DetectionsAgree):
        return
    if not any(one.score >= metric.min_score for found in expected for one in found.detections):
        what = f"in {len(expected)} frames nothing was found that scores {metric.min_score:.3g} or more"
        remedy = "give frames that show what the model is to find, or correct [preprocess]"
        raise EdgewardError(Code.USAGE, what, where=where, remedy=remedy)
