"""Makes the golden files of a bundle: frames from the author's pictures, results by the reference path."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import numpy as np

from runtime.bundle.check_golden import MAX_RESULTS
from runtime.bundle.golden_messages import FRAMES, GOLDEN_FOLDER, RESULTS, GoldenMade, Making, Request
from runtime.bundle.manifest import Manifest, Variant
from runtime.bundle.metrics import CellsAgree, DetectionsAgree, Metric
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.golden import author_frames, results, y4m
from runtime.golden.compare import compare
from runtime.golden.reference import engines
from runtime.golden.reference.model import Reference
from runtime.golden.results import GoldenFrameResult
from runtime.source.frame import Picture

Tell = Callable[[Making], None]
_STUCK_AT = 8
# What the modules say of themselves: OpenCV comes in packages of several names.
_LIBRARIES = {"opencv": cv2.__version__, "numpy": np.__version__, "pyav": av.__version__}


def make(request: Request, tell: Tell) -> GoldenMade:
    """Write ``golden/`` and say what is in it.

    Args:
        request: what is to be made.
        tell: hears of each frame.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` and whatever a model can raise.
    """
    folder, into = Path(request.folder), Path(request.into)
    variant = chosen(request.manifest, request.reference, toml=request.toml)
    files, sources = _write_frames(request, folder, into, tell)
    began = time.monotonic()
    manifest = request.manifest
    reference = Reference(manifest, variant, _reader(manifest, folder), where=manifest.name)
    found: list[Findings] = []

    def opened(name: str) -> BinaryIO:
        return (into / name).open("rb")

    # Read back: what answers here is what travels.
    for frame in y4m.golden_frames(files, opened, count=len(sources)):
        tell(Making(doing=f"asking {variant.id}", done=len(found), total=len(sources)))
        found.append(reference.look(frame))
    counts = [counting(findings, request.metric) for findings in found]
    _must_show_something(found, counts, request.metric, where=f"{request.toml}: golden.frames")
    engine = engines.version(variant.engine)
    frames = [GoldenFrameResult(source=name, findings=one) for name, one in zip(sources, found, strict=True)]
    (into / RESULTS).write_bytes(_encoded(frames, _LIBRARIES | {"engine": engine}, toml=request.toml))
    return GoldenMade(
        files=tuple(files),
        sources=tuple(sources),
        reference=variant.id,
        precision=variant.precision,
        engine=engine,
        findings=sum(counts),
        empty=counts.count(0),
        alike=_alike(found, request.metric),
        seconds=time.monotonic() - began,
    )


def _encoded(frames: Sequence[GoldenFrameResult], made_by: dict[str, str], *, toml: str) -> bytes:
    data = results.encode(frames, made_by)
    where, remedy = f"{toml}: golden.frames", "name fewer frames"
    if len(data) > MAX_RESULTS:
        what = f"the golden results have {len(data)} bytes, over {MAX_RESULTS}"
        raise EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=remedy)
    # Whatever a device would refuse is refused here: a decoder of another package may have made it.
    results.parse(data, where=where, count=len(frames))
    return data


def chosen(manifest: Manifest, wanted: str, *, toml: str) -> Variant:
    """The variant that answers: the one that is wanted, else the first of float32, else the first.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN`` when the reference path can run none of them.
    """
    where = f"{toml}: golden.reference"
    candidates = [variant for variant in manifest.variants if wanted in {"", variant.id}]
    if not candidates:
        ids = ", ".join(variant.id for variant in manifest.variants)
        raise EdgewardError(
            Code.BUNDLE_GOLDEN, f"there is no variant {wanted!r}", where=where, remedy=f"use one of: {ids}"
        )
    able = [variant for variant in candidates if engines.version(variant.engine)]
    if not able:
        names = ", ".join(sorted({variant.engine for variant in candidates}))
        what = f"the reference path has no engine here for {names}; it runs {', '.join(engines.KNOWN)}"
        remedy = "install the engine (pip install 'edgeward[onnx]'), or add a variant for one of these"
        raise EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=remedy)
    return next((variant for variant in able if variant.precision == "float32"), able[0])


def _write_frames(request: Request, folder: Path, into: Path, tell: Tell) -> tuple[list[str], list[str]]:
    """The ``.y4m`` files, one for each kind of picture, and of each frame its name, in their order."""
    files = author_frames.wanted(request.frames, folder, toml=request.toml)
    total = sum(len(each.numbers) for each in files)
    (into / GOLDEN_FOLDER).mkdir()
    writers: dict[Picture, tuple[str, BinaryIO, list[str]]] = {}
    with ExitStack() as stack:
        for done, frame in enumerate(author_frames.decoded(files, folder, toml=request.toml)):
            tell(Making(doing="decoding", done=done, total=total))
            if frame.picture not in writers:
                name = FRAMES.format(len(writers) + 1)
                stream: BinaryIO = stack.enter_context((into / name).open("xb"))
                stream.write(y4m.header(frame.picture))
                writers[frame.picture] = (name, stream, [])
            _, stream, sources = writers[frame.picture]
            stream.writelines(y4m.frame(frame.planes))
            sources.append(frame.source)
    written = writers.values()
    return [name for name, _, _ in written], [source for _, _, sources in written for source in sources]


def _reader(manifest: Manifest, folder: Path) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        data = (folder / path).read_bytes()
        if hashlib.sha256(data).hexdigest() != manifest.file(path).sha256:
            what = "the file changed while it was packed"
            raise EdgewardError(Code.BUNDLE_UNREADABLE, what, where=str(folder / path), remedy="try again")
        return data

    return read


def _alike(found: Sequence[Findings], metric: Metric) -> bool:
    """Whether a model that is stuck, and always answers as to one of the frames, would pass."""
    some = found[:: -(-len(found) // _STUCK_AT)]
    return any(compare(found, [one] * len(found), metric).passed for one in some)


def counting(findings: Findings, metric: Metric) -> int:
    """How many findings of a frame the comparison looks at."""
    if isinstance(metric, DetectionsAgree):
        return sum(one.score >= metric.min_score for one in findings.detections)
    if isinstance(metric, CellsAgree):
        return len(findings.segmentation.shares) if findings.segmentation else 0
    return len(findings.classes) + len(findings.tensors) + bool(findings.embedding)


def _must_show_something(
    found: Sequence[Findings], counts: Sequence[int], metric: Metric, *, where: str
) -> None:
    """A comparison that no model could fail is none.

    Raises:
        EdgewardError: ``BUNDLE_GOLDEN``.
    """
    what = ""
    proof = compare(found, found, metric)
    if not sum(counts):
        what = f"the model finds nothing in any of the {len(found)} golden frames"
        if isinstance(metric, DetectionsAgree):
            what += f" that scores {metric.min_score:g} or more"
    elif isinstance(metric, CellsAgree):
        labels = {run[0] for one in found if one.segmentation for run in one.segmentation.runs}
        what = "" if len(labels) > 1 else "every cell of every golden frame is of one class"
    if not what and not proof.passed:
        remedy = "name frames that show more of what the model is for; make [golden.metric] stricter"
        raise EdgewardError(Code.BUNDLE_GOLDEN, proof.why, where=where, remedy=remedy)
    if what:
        remedy = "name frames that show what the model is for; check preprocess and postprocess"
        what += ", so that a broken model would answer the same"
        raise EdgewardError(Code.BUNDLE_GOLDEN, what, where=where, remedy=remedy)
