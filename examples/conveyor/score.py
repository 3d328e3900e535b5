"""How good detections are: matching at an overlap of one half, precision, recall, average precision.

Matching is greedy, best score first, label by label, as in the PASCAL VOC challenge (Everingham et al.
2010, doi:10.1007/s11263-009-0275-4); average precision is the whole area under the monotone
precision-recall curve (all-point interpolation, VOC since 2010).

Parts less than half in the picture are ignored, as KITTI and COCO do with theirs: a detection that fits
one, whatever its label, is neither a hit nor a false alarm, and a missing one is no miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from examples.conveyor.truth import LABELS, MIN_VISIBLE, Box, Truth

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """What a detector says: label, x1, y1, x2, y2 in pixels, score 0..1."""

    label: str
    box: Box
    score: float


@dataclass(frozen=True)
class Score:
    """Results over many frames at one score threshold.

    Attributes:
        precision: hits of detections (1 if there is no detection).
        recall: hits of parts (1 if there is no part).
        mean_ap: average precision, mean over the labels that occur; over all detections given, whatever
            the threshold.
        ap: average precision of each label that occurs.
        hits: detections that found a part.
        false_alarms: detections that found none.
        misses: parts not found.
    """

    precision: float
    recall: float
    mean_ap: float
    ap: dict[str, float]
    hits: int
    false_alarms: int
    misses: int


def overlap(box: Box, others: Sequence[Box]) -> Floats:
    """Intersection over union of one box with each of the others, [n]."""
    if not others:
        return np.zeros(0)
    boxes = np.array(others, np.float64)
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    common = np.clip(width, 0, None) * np.clip(height, 0, None)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = areas + (box[2] - box[0]) * (box[3] - box[1]) - common
    return np.asarray(common / np.maximum(union, 1e-12))


def judge_frame(
    detections: Sequence[Detection], truths: Sequence[Truth], min_overlap: float = 0.5
) -> list[bool | None]:
    """For each detection: a hit, a false alarm, or (None) on an ignored part."""
    counted = [truth for truth in truths if truth.visible >= MIN_VISIBLE]
    ignored = [truth.box for truth in truths if truth.visible < MIN_VISIBLE]
    verdicts: list[bool | None] = [False] * len(detections)
    found: set[int] = set()
    for index in sorted(range(len(detections)), key=lambda i: -detections[i].score):
        detection = detections[index]
        free = [i for i, truth in enumerate(counted) if truth.label == detection.label and i not in found]
        ious = overlap(detection.box, [counted[i].box for i in free])
        if ious.size and ious.max() >= min_overlap:
            found.add(free[int(ious.argmax())])
            verdicts[index] = True
        elif _on_ignored(detection.box, ignored, min_overlap):
            verdicts[index] = None
    return verdicts


def _on_ignored(box: Box, ignored: Sequence[Box], min_overlap: float) -> bool:
    ious = overlap(box, ignored)
    return bool(ious.size and ious.max() >= min_overlap)


def average_precision(scores: Floats, hits: npt.NDArray[np.bool_], parts: int) -> float:
    """Area under precision over recall; `scores` and `hits` [n], `parts` = how many could be found."""
    if parts == 0:
        raise ValueError("average precision needs at least one part that could be found")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(hits[order])
    precision = found / np.arange(1, len(found) + 1)
    # The best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(found / parts, prepend=0.0)
    return float((steps * envelope).sum())


def score(
    frames: Sequence[tuple[Sequence[Detection], Sequence[Truth]]],
    threshold: float = 0.0,
    min_overlap: float = 0.5,
) -> Score:
    """Score pairs (detections, truths), one a frame."""
    outcomes: dict[str, list[tuple[float, bool]]] = {label: [] for label in LABELS}
    parts = dict.fromkeys(LABELS, 0)
    for detections, truths in frames:
        for truth in truths:
            parts[truth.label] += truth.visible >= MIN_VISIBLE
        for detection, verdict in zip(detections, judge_frame(detections, truths, min_overlap), strict=True):
            if verdict is not None:
                outcomes[detection.label].append((detection.score, verdict))
    # Greedy matching goes from the best score down, so cutting at a threshold changes no match above it.
    kept = [hit for found in outcomes.values() for value, hit in found if value >= threshold]
    hits = sum(kept)
    total = sum(parts.values())
    ap = {
        label: average_precision(
            np.array([value for value, _ in outcomes[label]], np.float64),
            np.array([hit for _, hit in outcomes[label]], np.bool_),
            parts[label],
        )
        for label in LABELS
        if parts[label]
    }
    return Score(
        precision=hits / len(kept) if kept else 1.0,
        recall=hits / total if total else 1.0,
        mean_ap=float(np.mean(list(ap.values()))) if ap else 1.0,
        ap=ap,
        hits=hits,
        false_alarms=len(kept) - hits,
        misses=total - hits,
    )
