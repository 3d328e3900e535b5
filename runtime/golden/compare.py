"""Whether what was found is what the author's reference path found: one metric a task."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from runtime.bundle.metrics import (
    CellsAgree,
    ClassesAgree,
    DetectionsAgree,
    Metric,
    TensorsAgree,
    VectorsAgree,
)
from runtime.findings import Findings, Segmentation, Tensor
from runtime.golden import soundness
from runtime.golden.agreement import Agreement, Bound, judged
from runtime.golden.detections import compare_detections
from runtime.golden.regions import LOWEST, cells_of


def compare(expected: Sequence[Findings], found: Sequence[Findings], metric: Metric) -> Agreement:
    """Compare what was found in each golden frame with what the author's reference path found.

    It is not passed either when a model that answers nothing at all would agree as well.

    Args:
        expected: of each frame, from ``GoldenResults.findings``.
        found: of the same frames, in the same order.
        metric: the manifest's ``golden.metric``.

    Raises:
        ValueError: the two are not about the same number of frames, or about none.
    """
    if len(expected) != len(found) or not expected:
        message = f"{len(found)} answers for {len(expected)} golden frames"
        raise ValueError(message)
    agreement = _compared(expected, found, metric)
    if agreement.passed and _compared(expected, _dead(expected), metric).passed:
        why = f"these golden results prove nothing: no answer at all would agree as well ({agreement.why})"
        return Agreement(passed=False, figures=agreement.figures, why=why)
    return agreement


def _dead(expected: Sequence[Findings]) -> list[Findings]:
    """What a dead model answers: nothing, zeros, and of a segmentation's classes always the commonest."""
    cells: Counter[int] = Counter()
    for one in expected:
        for label, length in one.segmentation.runs if one.segmentation else ():
            cells[label] += length
    common = cells.most_common(1)[0][0] if cells else 0

    def even(found: Segmentation | None) -> Segmentation | None:
        return found and replace(found, runs=((common, found.width * found.height),), shares={})

    return [
        Findings(
            segmentation=even(one.segmentation),
            embedding=(0.0,) * len(one.embedding),
            tensors=tuple(replace(tensor, data=bytes(len(tensor.data))) for tensor in one.tensors),
        )
        for one in expected
    ]


def _compared(expected: Sequence[Findings], found: Sequence[Findings], metric: Metric) -> Agreement:
    if isinstance(metric, DetectionsAgree):
        return compare_detections(expected, found, metric)
    if isinstance(metric, ClassesAgree):
        return _classes(expected, found, metric)
    if isinstance(metric, TensorsAgree):
        return _tensors(expected, found, metric)
    if isinstance(metric, CellsAgree):
        return _cells(expected, found, metric)
    return _vectors(expected, found, metric)


def _classes(expected: Sequence[Findings], found: Sequence[Findings], metric: ClassesAgree) -> Agreement:
    agreeing, differences = [], [0.0]
    for ours, theirs in zip(expected, found, strict=True):
        if not ours.classes or not theirs.classes:
            agreeing.append(not ours.classes and not theirs.classes)
            continue
        best, other = ours.classes[0], theirs.classes[0]
        # A label may stand for two classes: the better of them counts.
        scores = {one.label: one.score for one in reversed(theirs.classes)}
        among = best.label in [one.label for one in theirs.classes[: metric.top_k]]
        among &= other.label in [one.label for one in ours.classes[: metric.top_k]]
        difference = abs(scores.get(best.label, 0.0) - best.score)
        agreeing.append(among and difference <= metric.score_tolerance)
        differences.append(difference if math.isfinite(difference) else 1.0)
    share = sum(agreeing) / len(agreeing)
    figures = {"matched": share, "max_score_difference": max(differences), "frames": float(len(expected))}
    remark = f"the score of the best class differs by up to {max(differences):.3g}"
    return judged([Bound("matched", share, metric.min_matched)], figures, _worst(agreeing, remark))


def _worst(agreeing: Sequence[bool], remark: str) -> str:
    wrong = [str(at) for at, right in enumerate(agreeing) if not right]
    listed = ", ".join(wrong[:10]) + (" and more" if len(wrong) > 10 else "")
    return f"{remark}, frames that differ: {listed or 'none'}"


def _vectors(expected: Sequence[Findings], found: Sequence[Findings], metric: VectorsAgree) -> Agreement:
    cosines = [_cosine(one.embedding, two.embedding) for one, two in zip(expected, found, strict=True)]
    lowest = min(cosines)
    figures = {"min_cosine": lowest, "mean_cosine": sum(cosines) / len(cosines)}
    remark = f"in frame {cosines.index(lowest)}"
    return judged([Bound("min_cosine", lowest, metric.min_cosine)], figures, remark)


def _cosine(one: Sequence[float], two: Sequence[float]) -> float:
    """Of the angle between them; -1, the worst there is, where there is none."""
    if len(one) != len(two) or not one:
        return -1.0
    a, b = np.asarray(one, np.float64), np.asarray(two, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return -1.0
    # Scaled first: the squares of large elements overflow.
    largest_a, largest_b = float(np.abs(a).max()), float(np.abs(b).max())
    if largest_a == 0 or largest_b == 0:
        return 1.0 if largest_a == largest_b else -1.0
    a, b = a / largest_a, b / largest_b
    cosine = float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
    return min(1.0, max(-1.0, cosine))


def _tensors(expected: Sequence[Findings], found: Sequence[Findings], metric: TensorsAgree) -> Agreement:
    """The share of elements of each output over all frames; the worst output counts."""
    within: dict[str, list[int]] = {}
    largest, broken, remark = 0.0, 0, ""
    for ours, theirs in zip(expected, found, strict=True):
        others = {tensor.name: tensor for tensor in theirs.tensors}
        for tensor in ours.tensors:
            other = others.pop(tensor.name, None)
            right, total = within.setdefault(tensor.name, [0, 0])
            wanted = _array(tensor)
            if other is None or not _alike(tensor, other):
                remark = f"the output {tensor.name!r} is missing or has another shape"
                within[tensor.name] = [right, total + max(1, wanted.size)]
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                difference = np.abs(_array(other) - wanted)
            agree = difference <= metric.atol + metric.rtol * np.abs(wanted)
            within[tensor.name] = [right + int(np.count_nonzero(agree)), total + wanted.size]
            finite = difference[np.isfinite(difference)]
            broken += difference.size - finite.size
            largest = max(largest, float(finite.max(initial=0.0)))
        for name in others:
            remark = f"the output {name!r} is not one of the author's"
            within.setdefault(name, [0, 0])[1] += 1
    shares = {name: right / total if total else 1.0 for name, (right, total) in within.items()}
    name, share = min(shares.items(), key=lambda item: item[1]) if shares else ("", 0.0)
    figures = {"share": share, "max_difference": largest, "not_numbers": float(broken)}
    bounds = [Bound("share", share, metric.min_share), Bound("not_numbers", broken, 0, most=True)]
    return judged(bounds, figures, remark or f"of the output {name!r}, which differs by up to {largest:.3g}")


def _alike(one: Tensor, two: Tensor) -> bool:
    return (one.dtype, one.shape) == (two.dtype, two.shape) and not soundness.of_tensor(two)


def _array(tensor: Tensor) -> NDArray[np.float64]:
    stored = np.frombuffer(tensor.data, np.dtype(tensor.dtype).newbyteorder("<"))
    return stored.astype(np.float64).reshape(tensor.shape)


def _cells(expected: Sequence[Findings], found: Sequence[Findings], metric: CellsAgree) -> Agreement:
    same = total = 0
    shared: dict[int, int] = {}
    either: dict[int, int] = {}
    for ours, theirs in zip(expected, found, strict=True):
        a, b = cells_of(ours.segmentation, theirs.segmentation)
        same += int(np.count_nonzero(a == b))
        total += a.size
        first, second, both = (_counts(cells) for cells in (a, b, a[a == b]))
        for label in np.flatnonzero(first + second).tolist():
            shared[label] = shared.get(label, 0) + int(both[label])
            either[label] = either.get(label, 0) + int(first[label] + second[label] - both[label])
    share = same / total
    overlaps = [shared[label] / either[label] for label in either]
    iou = sum(overlaps) / len(overlaps)
    figures = {"share": share, "mean_iou": iou, "classes": float(len(overlaps))}
    return judged([Bound("share", share, metric.min_share), Bound("mean_iou", iou, metric.min_iou)], figures)


def _counts(cells: NDArray[np.int16]) -> NDArray[np.intp]:
    """How many cells there are of each label, from ``regions.LOWEST`` on."""
    return np.bincount(cells.astype(np.intp) - LOWEST, minlength=soundness.MAX_LABELS - LOWEST)
