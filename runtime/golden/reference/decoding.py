"""Numbers to findings, for every decoder that a manifest can declare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import decoders as declared
from runtime.errors import Code, EdgewardError
from runtime.findings import Classified, Detection, Findings, Tensor
from runtime.golden.reference import grids, poses
from runtime.golden.reference.about import About, must_be_numbers
from runtime.golden.reference.heads import HEADS, activated, yolov8
from runtime.golden.reference.suppression import Kept, Rows, suppressed
from runtime.vision import decoders as fast
from runtime.vision.placement import Placement

Floats = NDArray[Any]
Named = Sequence[tuple[str, Floats]]
"""Name and numbers of each output, with their leading 1."""


def decode(spec: declared.Decoder, named: Named, place: Placement, about: About) -> Findings:
    """What the outputs say.

    Raises:
        EdgewardError: ``MODEL_RUN`` for outputs that are not numbers, or a class without a label;
            ``MODEL_MISMATCH`` for shapes that do not fit.
    """
    arrays = [array for _, array in named]
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return _decoded(spec, named, arrays, place, about)
    except (ValueError, IndexError) as error:
        what = f"the decoder {spec.__struct_config__.tag} cannot read the outputs: {error}"
        remedy = "correct decoder, labels or outputs in bundle.toml"
        raise EdgewardError(Code.MODEL_MISMATCH, what, where=about.where, remedy=remedy) from error


def _decoded(
    spec: declared.Decoder, named: Named, arrays: list[Floats], place: Placement, about: About
) -> Findings:
    simple = _OTHERS.get(type(spec))
    if simple is not None:
        return simple(spec, arrays, place, about)
    if isinstance(spec, declared.Tensors):
        return _tensors(named, about)
    if isinstance(spec, declared.Plugin):
        return _plugin(spec, named, place, about)
    if not isinstance(spec, declared.Detector):
        raise TypeError(spec)
    extra = grids.extra_columns(spec, arrays, about) + poses.extra_columns(spec)
    if isinstance(spec, declared.Yolov8Pose | declared.Yolov8Seg):
        rows = yolov8(spec, arrays, about.head, extra)
    else:
        rows = HEADS[type(spec)](spec, arrays, about.head)
    kept = _kept(spec, rows, place, about)
    found = [
        Detection(_label(int(label), about), float(score), _box(box))
        for box, score, label in zip(kept.boxes, kept.scores, kept.labels, strict=True)
    ]
    if isinstance(spec, declared.Yolov8Seg):
        found = grids.with_masks(spec, found, kept.rows, arrays, place, about)
    elif isinstance(spec, declared.Yolov8Pose | declared.YuNet):
        found = poses.with_keypoints(spec, found, kept.rows, arrays, place, about)
    for one in found:
        # Whatever else a decoder reads of a row.
        must_be_numbers(np.array([(point.x, point.y, point.score) for point in one.keypoints]), about)
    return Findings(detections=tuple(found))


def _kept(spec: declared.Detector, rows: Rows, place: Placement, about: About) -> Kept:
    # A row that cannot be judged, or that passes with a box that is none, is a failure of the model.
    judged = ~(rows.scores < spec.score_threshold)
    must_be_numbers(np.column_stack([rows.boxes[judged], rows.scores[judged]]), about)
    sound = Rows(np.nan_to_num(rows.boxes), rows.scores, rows.labels)
    return suppressed(
        sound,
        place,
        score_threshold=spec.score_threshold,
        iou_threshold=spec.iou_threshold,
        class_agnostic=spec.class_agnostic,
        max_detections=spec.max_detections,
    )


def _label(index: int, about: About) -> str:
    if 0 <= index < len(about.labels):
        return about.labels[index]
    what = f"the model gave the class {index}, there are labels for 0 to {len(about.labels) - 1}"
    remedy = "correct labels or label_offset in bundle.toml"
    raise EdgewardError(Code.MODEL_RUN, what, where=about.where, remedy=remedy)


def _box(corners: Floats) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in corners)
    return x1, y1, x2, y2


def _classification(
    spec: declared.Classification,
    arrays: list[Floats],
    place: Placement,  # noqa: ARG001 - the same wherever it is
    about: About,
) -> Findings:
    raw = arrays[0].reshape(-1).astype(np.float64)
    if len(raw) != len(about.labels):
        message = f"{len(raw)} scores for {len(about.labels)} labels"
        raise ValueError(message)
    must_be_numbers(raw, about)
    scores = activated(raw, spec.activation)
    order = np.argsort(-raw, kind="stable")[: spec.top_k]
    return Findings(
        classes=tuple(
            Classified(about.labels[at], float(scores[at]))
            for at in order
            if np.float32(scores[at]) >= np.float32(spec.score_threshold)
        )
    )


def _embedding(
    spec: declared.Embedding,
    arrays: list[Floats],
    place: Placement,  # noqa: ARG001 - the same wherever it is
    about: About,
) -> Findings:
    vector = arrays[0].reshape(-1).astype(np.float64)
    must_be_numbers(vector, about)
    if spec.normalise:
        length = float(np.sqrt(vector @ vector))
        if length == 0:
            what, remedy = "the model gave an embedding of zeros", "set postprocess.normalise = false"
            raise EdgewardError(Code.MODEL_RUN, what, where=about.where, remedy=remedy)
        vector = vector / length
    return Findings(embedding=tuple(vector.tolist()))


def _tensors(named: Named, about: About) -> Findings:
    for _, array in named:
        # The fast path hands them on; no golden result can be compared with them.
        must_be_numbers(array, about)
    return Findings(
        tensors=tuple(
            Tensor(
                name=name,
                dtype=array.dtype.name,
                shape=array.shape,
                data=array.astype(array.dtype.newbyteorder("<")).tobytes(),
            )
            for name, array in named
        )
    )


def _plugin(spec: declared.Plugin, named: Named, place: Placement, about: About) -> Findings:
    context = fast.Context(
        labels=about.labels,
        width=about.width,
        height=about.height,
        outputs=tuple(fast.Output(name, array.dtype.name, array.shape) for name, array in named),
        score_threshold=None,
        read=about.read,
        where=about.where,
    )
    return fast.build(spec, context).decode([array for _, array in named], place)


_OTHERS: dict[type[declared.Decoder], Callable[[Any, list[Floats], Placement, About], Findings]] = {
    declared.Classification: _classification,
    declared.Embedding: _embedding,
    declared.Semantic: grids.semantic,
    declared.MoveNet: poses.movenet,
}
