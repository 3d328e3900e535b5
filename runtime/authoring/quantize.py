"""``edgeward bundle quantize``: an int8 variant of an author's folder, added only when it answers alike."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from runtime.authoring import int8, speed, trial, variant_text
from runtime.authoring.calibration import Recording
from runtime.authoring.child import Progress, finishing
from runtime.authoring.evidence import KEPT, check_telling, gather, golden_frames, metric_of, seen
from runtime.bundle import author as authors
from runtime.bundle.author import AUTHOR_NAME, Author, VariantTable
from runtime.bundle.metrics import Metric
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.golden.agreement import Agreement
from runtime.golden.compare import compare
from runtime.inference import Inference
from runtime.ipc import EngineOptions
from runtime.source.frame import Frame
from runtime.stages import StageClock

# Below that difference the times of two attempts are the noise of the machine.
_ABOUT_AS_FAST = 1.1


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What to quantise; paths are absolute. ``min_kept``: instead of the metric's own bound."""

    folder: str
    calibrate: tuple[str, ...] = ()
    frames: int = 64
    variant: str = ""
    min_kept: float | None = None
    threads: int = 1


class Attempt(NamedTuple):
    """One way to quantise, judged.

    ``kept``: how much accuracy is left; ``ms``: median time of a frame, of one that has passed.
    """

    plan: int8.Plan
    agreement: Agreement
    kept: float
    path: Path
    inference: Inference
    ms: float | None = None

    @property
    def truth(self) -> float:
        """To compare attempts by: what is kept, and how well boxes fit."""
        return self.kept + self.agreement.figures.get("mean_iou", 0.0)


@dataclass(frozen=True)
class _Work:
    """What an attempt needs beside its plan."""

    author: Author
    folder: Path
    scratch: Path
    labels: tuple[str, ...]
    new: VariantTable
    options: EngineOptions
    metric: Metric
    frames: Sequence[Frame]
    expected: Sequence[Findings]
    recording: Recording


def run(raw: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Quantise, judge, and add the variant; what was measured, for ``--json`` and for the summary.

    Raises:
        EdgewardError: ``USAGE`` when there is nothing to calibrate with, no float32 ONNX variant, or an int8
            one of it already; ``MODEL_ACCURACY`` when no way keeps the accuracy: then nothing was changed;
            ``BUNDLE_*``, ``SOURCE_*``, ``MODEL_*``, ``ENGINE_UNAVAILABLE``, ``SYSTEM_*``.
    """
    request = msgspec.convert(raw, Request)
    folder = Path(request.folder)
    author = authors.load(folder)
    base = _base(author, request.variant, folder)
    new = _new(author, base, folder)
    # Before the frames are looked at, which may take minutes.
    source = trial.read(base.file, (folder,))
    int8.check_float32(source, where=str(folder / base.file))
    metric = metric_of(author, request.min_kept)
    options = EngineOptions(threads=request.threads)
    labels = trial.labels(author, folder)
    golden = golden_frames(author, folder)
    if not golden and not request.calibrate:
        what = "argument --calibrate: there is nothing to calibrate with, for bundle.toml has no [golden]"
        remedy = "name films or pictures of what the cameras will see"
        raise EdgewardError(Code.USAGE, what, where="edgeward bundle quantize", remedy=remedy)
    with tempfile.TemporaryDirectory(prefix="edgeward-quantize-") as name:
        scratch = Path(name)
        model = trial.load(author, base, labels, (folder,), options)
        recording = Recording(model.engine, scratch)
        recorder = Inference(replace(model, engine=recording), StageClock())
        calibrate = [Path(path) for path in request.calibrate]
        frames, calibrated = gather(golden, calibrate, request.frames, recorder, progress)
        ours = Inference(model, StageClock())
        expected = [seen(ours, frame) for frame in frames]
        check_telling(expected, metric, where=str(folder))
        work = _Work(author, folder, scratch, labels, new, options, metric, frames, expected, recording)
        progress("preparing the model")
        prepared = int8.prepare(source, scratch, where=str(folder / base.file))
        attempts = list(_attempts(work, prepared, progress))
        _check_one_passed(work, attempts)
        progress("measuring those that pass beside the original")
        before, attempts = _timed(work, ours, attempts)
        chosen = _best(attempts)
        report = _report(work, base, before, attempts, chosen)
        report["judged"] = {"frames": len(frames), "golden": bool(golden), "calibrated": calibrated}
        report["judged"]["apart"] = bool(calibrate)
        text = variant_text.block(new, _remarks(report))
        made = attempts[chosen].path.read_bytes()
        with finishing():
            variant_text.append(folder, text, new, made)
    return report


def _base(author: Author, wanted: str, folder: Path) -> VariantTable:
    """The variant to quantise: the one that was asked for, else the first of float32 that is ONNX."""
    place = str(folder / AUTHOR_NAME)
    found = [one for one in author.variants if one.file.endswith(".onnx") and one.precision == "float32"]
    if not wanted and found:
        return found[0]
    named = next((one for one in author.variants if one.id == wanted), None)
    if wanted and named is None:
        ids = ", ".join(one.id for one in author.variants)
        what = f"there is no variant {wanted!r}, there are {ids}"
        raise EdgewardError(Code.USAGE, what, where=place, remedy="correct --variant")
    if named in found:
        return found[found.index(named)]
    what = f"{wanted!r} is no float32 ONNX model" if wanted else "no variant is a float32 ONNX model"
    remedy = "export the trained model as float32 ONNX; TFLite models are quantised by their converter"
    raise EdgewardError(Code.USAGE, what, where=place, remedy=remedy)


def _new(author: Author, base: VariantTable, folder: Path) -> VariantTable:
    """The variant to add, refused where its id or its file is taken."""
    name = f"{base.id.removesuffix('-float32')[:59]}-int8"
    file = f"{base.file.removesuffix('.onnx')}-int8.onnx"
    what = ""
    if name in {one.id for one in author.variants}:
        what = f"there is a variant {name!r} already"
    elif (folder / file).exists():
        what = f"there is a file {file!r} already"
    if what:
        remedy = f"to quantise anew, take the variant out of {AUTHOR_NAME} and remove {file}"
        raise EdgewardError(Code.USAGE, what, where=str(folder), remedy=remedy)
    return msgspec.structs.replace(base, id=name, file=file, precision="int8")


def _check_one_passed(work: _Work, attempts: Sequence[Attempt]) -> None:
    """Refuse when no way keeps the accuracy.

    Raises:
        EdgewardError: ``MODEL_ACCURACY`` with the figures of the best.
    """
    if any(one.agreement.passed for one in attempts):
        return
    best = max(attempts, key=lambda one: one.truth)
    what = f"with {best.plan.text} its answers are not the float32 model's: {best.agreement.why}"
    what += f" ({len(attempts)} ways were tried on {len(work.frames)} frames); nothing was changed"
    remedy = "calibrate with more frames of what the cameras will see, or allow less with --min-kept"
    raise EdgewardError(Code.MODEL_ACCURACY, what, where=str(work.folder), remedy=remedy)


def _best(attempts: Sequence[Attempt]) -> int:
    """Which attempt to take: of those that pass the fastest, or a truer one that is about as fast."""
    passed = [at for at, one in enumerate(attempts) if one.agreement.passed]
    fastest = min(attempts[at].ms or 0.0 for at in passed)
    fast = [at for at in passed if (attempts[at].ms or 0.0) <= fastest * _ABOUT_AS_FAST]
    return max(fast, key=lambda at: attempts[at].truth)


def _attempts(work: _Work, prepared: int8.Prepared, progress: Progress) -> Iterator[Attempt]:
    for plan in prepared.plans:
        progress(f"quantising, {plan.text}")
        place = work.scratch / plan.name
        path = place / work.new.file
        path.parent.mkdir(parents=True)
        int8.quantise(prepared, plan, work.recording, path, where=str(work.folder / work.new.file))
        folders = (place, work.folder)
        model = trial.load(work.author, work.new, work.labels, folders, work.options)
        inference = Inference(model, StageClock())
        progress(f"judging it by {len(work.frames)} frames")
        found = [seen(inference, frame) for frame in work.frames]
        agreement = compare(work.expected, found, work.metric)
        kept = agreement.figures[KEPT[type(work.metric)][0]]
        yield Attempt(plan, agreement, kept, path, inference)


def _timed(work: _Work, base: Inference, attempts: Sequence[Attempt]) -> tuple[float, list[Attempt]]:
    """The median time of a frame of the float32 variant, and the attempts with theirs."""
    passed = [one for one in attempts if one.agreement.passed]
    before, *after = speed.medians_ms([base, *(one.inference for one in passed)], work.frames)
    times = {one.plan: ms for one, ms in zip(passed, after, strict=True)}
    return before, [one._replace(ms=times.get(one.plan)) for one in attempts]


def _report(
    work: _Work, base: VariantTable, before: float, attempts: Sequence[Attempt], chosen: int
) -> dict[str, Any]:
    best, new = attempts[chosen], work.new
    figure, bound = KEPT[type(work.metric)]
    tried = [
        {
            "plan": one.plan.text,
            "passed": one.agreement.passed,
            "kept": one.kept,
            "figures": one.agreement.figures,
            "latency_ms": one.ms,
            "bytes": one.path.stat().st_size,
            "taken": at == chosen,
        }
        for at, one in enumerate(attempts)
    ]
    kept = {"figure": figure, "value": best.kept, "bound": getattr(work.metric, bound)}
    return {
        "folder": str(work.folder),
        "variant": new.id,
        "file": new.file,
        "from": base.id,
        "plan": best.plan.text,
        "kept": kept | {"why": best.agreement.why},
        "figures": best.agreement.figures,
        "latency_ms": {base.id: before, new.id: best.ms},
        "bytes": {base.id: (work.folder / base.file).stat().st_size, new.id: best.path.stat().st_size},
        "threads": work.options.threads,
        "tried": tried,
        "made_by": list(int8.versions()),
    }


def _remarks(report: dict[str, Any]) -> tuple[str, ...]:
    """Comments above the new table: how it was made, how good it is, and the way back."""
    judged, kept, latency = report["judged"], report["kept"], report["latency_ms"]
    golden = "golden" if judged["golden"] else "held out"
    return (
        f"Added by 'edgeward bundle quantize' from {report['from']!r}: {report['plan']}, calibrated with "
        f"{judged['calibrated']} frames ({', '.join(report['made_by'])}).",
        f"Against {report['from']!r} on {judged['frames']} frames ({golden}): {kept['why']}. "
        f"{latency[report['variant']]:.2f} ms a frame beside {latency[report['from']]:.2f} ms there.",
        f"The way back: remove this table and {report['file']}.",
    )
