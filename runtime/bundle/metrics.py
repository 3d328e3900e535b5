"""The measures by which golden results are compared: when an answer counts as the author's own.

Pure declarations, shared with the agent; ``runtime.golden.compare`` has the code. Which one fits follows from
what the decoder gives.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from runtime.bundle.decoders import Decoder, Fraction, Plugin, Positive, Semantic, Task

NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
# Bounds of the bounds: beyond them a model that is broken would pass.
Most = Annotated[float, msgspec.Meta(ge=0.5, le=1.0)]
Half = Annotated[float, msgspec.Meta(ge=0.0, le=0.5)]


class Measure(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag_field="compare"):
    """Base of all; immutable, refuses unknown keys."""


class DetectionsAgree(Measure, frozen=True, kw_only=True, tag="detections"):
    """Boxes, with their keypoints and masks where the decoder gives some.

    A detection is matched with one of the same class at ``iou`` or more, whose score is not further away than
    ``score_tolerance``. Those below ``min_score`` may be matched and need not be; ``pack`` writes the score
    threshold plus the tolerance where it is left at 0. ``min_matched`` is the share of the others, both ways,
    ``min_iou`` the mean of the matched ones. Keypoints: mean distance as a share of the box's diagonal.
    """

    iou: Annotated[float, msgspec.Meta(ge=0.1, le=1.0)] = 0.5
    min_score: Fraction = 0.0
    score_tolerance: Half = 0.1
    min_matched: Most = 0.9
    min_iou: Fraction = 0.8
    max_keypoint_distance: Half = 0.05
    min_mask_iou: Fraction = 0.8


class ClassesAgree(Measure, frozen=True, kw_only=True, tag="classes"):
    """Classes of a picture: the best one of each side is among the other's first ``top_k``.

    Its score is not further away than ``score_tolerance``; ``min_matched`` is the share of such pictures.
    """

    top_k: Positive = 2
    score_tolerance: Half = 0.1
    min_matched: Most = 0.9


class TensorsAgree(Measure, frozen=True, kw_only=True, tag="tensors"):
    """Raw outputs: ``|found - expected| <= atol + rtol * |expected|`` for ``min_share`` of the elements."""

    atol: NotNegative = 0.01
    rtol: Half = 0.05
    min_share: Most = 0.99


class CellsAgree(Measure, frozen=True, kw_only=True, tag="cells"):
    """Semantic segmentation: ``min_share`` of all cells have the same class.

    ``min_iou``: the mean over the classes of their cells' overlap, so that a large background hides nothing.
    """

    min_share: Most = 0.95
    min_iou: Fraction = 0.8


class VectorsAgree(Measure, frozen=True, kw_only=True, tag="vectors"):
    """Embeddings: the cosine of the angle between the two vectors of each picture, at least."""

    min_cosine: Most = 0.98


Metric = DetectionsAgree | ClassesAgree | TensorsAgree | CellsAgree | VectorsAgree

_BY_TASK: dict[Task, tuple[type[Metric], ...]] = {
    "detection": (DetectionsAgree,),
    "keypoints": (DetectionsAgree,),
    "segmentation": (DetectionsAgree,),
    "classification": (ClassesAgree,),
    "embedding": (VectorsAgree,),
    "tensors": (TensorsAgree,),
}


def metrics(task: Task, decoder: Decoder) -> tuple[type[Metric], ...]:
    """The metrics that can compare results of this decoder; the first is the usual one."""
    if isinstance(decoder, Semantic):
        return (CellsAgree,)
    if isinstance(decoder, Plugin) and task == "segmentation":
        return (DetectionsAgree, CellsAgree)
    return _BY_TASK[task]
