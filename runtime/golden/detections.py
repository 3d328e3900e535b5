"""Detections of two runs, matched: greedily, the best overlap first, as PASCAL VOC and COCO match them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from runtime.bundle.metrics import DetectionsAgree
from runtime.findings import Detection, Findings
from runtime.golden.agreement import Agreement, Bound, judged
from runtime.golden.regions import mask_iou

Box = tuple[float, float, float, float]


def box_iou(one: Box, two: Box) -> float:
    """Overlap of two boxes, 0..1; 0 of boxes that are not finite."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if not (width > 0 and height > 0):
        return 0.0
    shared = width * height
    union = (one[2] - one[0]) * (one[3] - one[1]) + (two[2] - two[0]) * (two[3] - two[1]) - shared
    iou = shared / union if union > 0 else 0.0
    return iou if math.isfinite(iou) else 0.0


class _Pair(NamedTuple):
    iou: float
    expected: int
    found: int


def _matched(
    expected: Sequence[Detection], found: Sequence[Detection], metric: DetectionsAgree
) -> list[_Pair]:
    """Pairs of one class that overlap enough and score alike, each detection in one pair at most."""
    candidates = [
        _Pair(iou, i, j)
        for i, ours in enumerate(expected)
        for j, theirs in enumerate(found)
        if ours.label == theirs.label
        and abs(ours.score - theirs.score) <= metric.score_tolerance
        and (iou := box_iou(ours.box, theirs.box)) >= metric.iou
    ]
    pairs, left, right = [], set(range(len(expected))), set(range(len(found)))
    for pair in sorted(candidates, key=lambda pair: (-pair.iou, pair.expected, pair.found)):
        if pair.expected in left and pair.found in right:
            left.discard(pair.expected)
            right.discard(pair.found)
            pairs.append(pair)
    return pairs


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

    def add(self, frame: int, expected: Sequence[Detection], found: Sequence[Detection]) -> None:
        """One frame. Of those that score less than ``min_score`` none is missed, nor is one too many."""
        pairs = _matched(expected, found, self._metric)
        ours, theirs = self._counted(expected), self._counted(found)
        matched_ours = ours & {pair.expected for pair in pairs}
        matched_theirs = theirs & {pair.found for pair in pairs}
        self.expected += len(ours)
        self.found += len(theirs)
        self.expected_matched += len(matched_ours)
        self.found_matched += len(matched_theirs)
        if wrong := len(ours) - len(matched_ours) + len(theirs) - len(matched_theirs):
            self.wrong[frame] = wrong
        for at in ours:
            same = (box_iou(expected[at].box, two.box) for two in found if two.label == expected[at].label)
            self.best_ious.append(max(same, default=0.0))
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
        distance = 1.0 if other is None else math.hypot(point.x - other.x, point.y - other.y) / diagonal
        found.append((max(0.0, point.score), distance if math.isfinite(distance) else 1.0))
    return [*found, *((1.0, 1.0) for _ in others)]


def compare_detections(
    expected: Sequence[Findings], found: Sequence[Findings], metric: DetectionsAgree
) -> Agreement:
    """See ``runtime.golden.compare.compare``.

    Figures: ``matched``, the smaller of ``recall`` (share of the expected ones that were found) and
    ``precision`` (share of the found ones that were expected); ``mean_iou`` of the matched; ``best_iou``, the
    mean overlap of each expected one with the nearest of its class, matched or not; ``score_difference`` and
    ``max_score_difference`` of the matched; ``expected`` and ``found``, counts; ``keypoint_distance`` and
    ``mask_iou`` where there are such.
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
    }
    bounds = [
        Bound("matched", figures["matched"], metric.min_matched),
        Bound("mean_iou", figures["mean_iou"], metric.min_iou),
    ]
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
    if tally.wrong:
        worst = max(tally.wrong, key=lambda frame: tally.wrong[frame])
        text += f"; most of them in frame {worst}" if len(tally.wrong) > 1 else f"; all in frame {worst}"
    return text


def _mean(values: Sequence[float], without: float) -> float:
    return sum(values) / len(values) if values else without
