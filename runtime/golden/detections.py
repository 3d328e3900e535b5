"""Detections of two runs, matched: greedily, the best overlap first, as PASCAL VOC and COCO match them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.metrics import DetectionsAgree
from runtime.findings import Detection, Findings
from runtime.golden.agreement import Agreement, Bound, judged
from runtime.golden.regions import mask_iou

Floats = NDArray[Any]
Indices = NDArray[np.intp]
MOST = 1000
"""Detections of a frame that count, the best ones of each side: each is held against each."""
TELLING = 3
"""A class that is expected so often and never found is lost, however few they are among all detections."""


def overlaps(ours: Floats, theirs: Floats) -> Floats:
    """Intersection over union ``[N, M]`` of boxes ``[N, 4]`` and ``[M, 4]``; 0 of what is not finite."""
    with np.errstate(all="ignore"):
        a, b = ours.T, theirs.T
        width = np.minimum.outer(a[2], b[2]) - np.maximum.outer(a[0], b[0])
        height = np.minimum.outer(a[3], b[3]) - np.maximum.outer(a[1], b[1])
        shared = np.where((width > 0) & (height > 0), width * height, 0.0)
        union = _areas(ours)[:, None] + _areas(theirs)[None, :] - shared
        found = np.where(shared > 0, shared / union, 0.0)
    return np.where(np.isfinite(found), found, 0.0)


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


class _Pair(NamedTuple):
    iou: float
    expected: int
    found: int


def _same_class(expected: Sequence[Detection], found: Sequence[Detection]) -> NDArray[np.bool_]:
    numbers: dict[str, int] = {}
    ours, theirs = (
        np.array([numbers.setdefault(one.label, len(numbers)) for one in side], np.intp)
        for side in (expected, found)
    )
    return np.equal.outer(ours, theirs)


def _boxes(detections: Sequence[Detection]) -> Floats:
    return np.array([one.box for one in detections], np.float64).reshape(-1, 4)


def _matched(
    ious: Floats, expected: Sequence[Detection], found: Sequence[Detection], metric: DetectionsAgree
) -> list[_Pair]:
    """Pairs of one class that overlap enough and score alike, each detection in one pair at most.

    ``ious``: ``[expected, found]``, 0 of those of another class.
    """
    ours, theirs = (np.array([one.score for one in side], np.float64) for side in (expected, found))
    with np.errstate(invalid="ignore"):
        alike = np.abs(np.subtract.outer(ours, theirs)) <= metric.score_tolerance
    rows, columns = np.nonzero(alike & (ious >= metric.iou))
    order = np.argsort(-ious[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    pairs = []
    # What stands first for both of its sides no better one can take: the same as going through one by one.
    while rows.size:
        at = np.arange(rows.size)
        chosen = (_first(rows, len(ours)) == at) & (_first(columns, len(theirs)) == at)
        pairs += [
            _Pair(float(ious[i, j]), int(i), int(j))
            for i, j in zip(rows[chosen], columns[chosen], strict=True)
        ]
        left = ~(np.isin(rows, rows[chosen]) | np.isin(columns, columns[chosen]))
        rows, columns = rows[left], columns[left]
    return pairs


def _first(values: Indices, count: int) -> Indices:
    """For each element the place at which its value, below ``count``, stands first."""
    first = np.zeros(count, np.intp)
    # The last one that is written stays.
    first[values[::-1]] = np.arange(values.size)[::-1]
    return first[values]


def _best(detections: Sequence[Detection]) -> Sequence[Detection]:
    """At most ``MOST``; what has no number for a score stands first, for it must not hide."""
    if len(detections) <= MOST:
        return detections
    return sorted(detections, key=lambda one: -one.score if one.score <= math.inf else -math.inf)[:MOST]


class _Tally:
    """Sums over all frames."""

    def __init__(self, metric: DetectionsAgree) -> None:
        self._metric = metric
        self.expected = self.found = self.expected_matched = self.found_matched = 0
        self.ious: list[float] = []
        self.best_ious: list[float] = []
        self.scores: list[float] = []
        self.keypoints: list[tuple[float, float]] = []
        self.masks: list[float] = []
        self.wrong: dict[int, int] = {}
        self.labels: Counter[str] = Counter()
        self.labels_matched: Counter[str] = Counter()

    @property
    def lost(self) -> dict[str, int]:
        """Classes of which nothing was matched, though expected ``TELLING`` times or more: how often."""
        return {
            label: count
            for label, count in sorted(self.labels.items())
            if count >= TELLING and not self.labels_matched[label]
        }

    def add(self, frame: int, expected: Sequence[Detection], found: Sequence[Detection]) -> None:
        """One frame. Of those that score less than ``min_score`` none is missed, nor is one too many."""
        expected, found = _best(expected), _best(found)
        of_class = _same_class(expected, found)
        ious = np.where(of_class, overlaps(_boxes(expected), _boxes(found)), 0.0)
        pairs = _matched(ious, expected, found, self._metric)
        ours, theirs = self._counted(expected), self._counted(found)
        matched_ours = ours & {pair.expected for pair in pairs}
        matched_theirs = theirs & {pair.found for pair in pairs}
        self.expected += len(ours)
        self.found += len(theirs)
        self.expected_matched += len(matched_ours)
        self.found_matched += len(matched_theirs)
        if wrong := len(ours) - len(matched_ours) + len(theirs) - len(matched_theirs):
            self.wrong[frame] = wrong
        self.labels.update(expected[at].label for at in ours)
        self.labels_matched.update(expected[at].label for at in matched_ours)
        self.best_ious += ious.max(1, initial=0.0)[sorted(ours)].tolist()
        for pair in pairs:
            one, two = expected[pair.expected], found[pair.found]
            self.ious.append(pair.iou)
            self.scores.append(abs(one.score - two.score))
            self.keypoints += _distances(one, two)
            if one.mask is not None or two.mask is not None:
                both = one.mask is not None and two.mask is not None
                self.masks.append(mask_iou(one.mask, two.mask) if both else 0.0)  # type: ignore[arg-type]

    def _counted(self, detections: Sequence[Detection]) -> set[int]:
        # What is not a number is counted too: it matches nothing.
        return {at for at, one in enumerate(detections) if not one.score < self._metric.min_score}


def _distances(one: Detection, two: Detection) -> list[tuple[float, float]]:
    """Of each keypoint: its weight, which is the author's score, and how far off, in diagonals of the box."""
    if not one.keypoints and not two.keypoints:
        return []
    others = {point.name: point for point in two.keypoints}
    diagonal = math.hypot(one.box[2] - one.box[0], one.box[3] - one.box[1]) or 1.0
    found = []
    for point in one.keypoints:
        other = others.pop(point.name, None)
        if other is None:
            found.append((max(0.0, point.score), 1.0))
            continue
        distance = math.hypot(point.x - other.x, point.y - other.y) / diagonal
        sound = math.isfinite(distance) and math.isfinite(other.score)
        # What is no number counts in full, however little the author's path saw of it.
        found.append((max(0.0, point.score), distance) if sound else (1.0, 1.0))
    return [*found, *((1.0, 1.0) for _ in others)]


def compare_detections(
    expected: Sequence[Findings], found: Sequence[Findings], metric: DetectionsAgree
) -> Agreement:
    """See ``runtime.golden.compare.compare``.

    Figures: ``matched``, the smaller of ``recall`` (share of the expected ones that were found) and
    ``precision`` (share of the found ones that were expected); ``mean_iou`` of the matched; ``best_iou``, the
    mean overlap of each expected one with the nearest of its class, matched or not; ``score_difference`` and
    ``max_score_difference`` of the matched; ``expected`` and ``found``, counts; ``keypoint_distance`` and
    ``mask_iou`` where there are such; ``lost_classes``, those expected ``TELLING`` times or more and never
    found.
    """
    tally = _Tally(metric)
    for frame, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        tally.add(frame, ours.detections, theirs.detections)
    recall = tally.expected_matched / tally.expected if tally.expected else 1.0
    precision = tally.found_matched / tally.found if tally.found else 1.0
    figures = {
        "matched": min(recall, precision),
        "recall": recall,
        "precision": precision,
        "mean_iou": _mean(tally.ious, 0.0 if tally.expected else 1.0),
        "best_iou": _mean(tally.best_ious, 1.0),
        "score_difference": _mean(tally.scores, 0.0),
        "max_score_difference": max(tally.scores, default=0.0),
        "expected": float(tally.expected),
        "found": float(tally.found),
        "lost_classes": float(len(tally.lost)),
    }
    bounds = [
        Bound("matched", figures["matched"], metric.min_matched),
        Bound("mean_iou", figures["mean_iou"], metric.min_iou),
    ]
    if tally.lost:
        bounds.append(Bound("lost_classes", len(tally.lost), 0, most=True))
    if tally.keypoints:
        weight = sum(weight for weight, _ in tally.keypoints)
        total = sum(weight * distance for weight, distance in tally.keypoints)
        distance = figures["keypoint_distance"] = total / weight if weight else 0.0
        bounds.append(Bound("keypoint_distance", distance, metric.max_keypoint_distance, most=True))
    if tally.masks:
        figures["mask_iou"] = _mean(tally.masks, 1.0)
        bounds.append(Bound("mask_iou", figures["mask_iou"], metric.min_mask_iou))
    return judged(bounds, figures, _remark(tally, figures))


def _remark(tally: _Tally, figures: dict[str, float]) -> str:
    text = (
        f"{tally.expected_matched} of {tally.expected} expected detections found, "
        f"{tally.found_matched} of {tally.found} found ones expected, "
        f"mean overlap with the nearest of the class {figures['best_iou']:.3g}"
    )
    if tally.lost:
        named = ", ".join(f"{label!r}, expected {count} times" for label, count in [*tally.lost.items()][:5])
        text += f"; nothing found of {named}"
    if tally.wrong:
        worst = max(tally.wrong, key=lambda frame: tally.wrong[frame])
        text += f"; most of them in frame {worst}" if len(tally.wrong) > 1 else f"; all in frame {worst}"
    return text


def _mean(values: Sequence[float], without: float) -> float:
    return sum(values) / len(values) if values else without
