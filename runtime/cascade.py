"""Further models on the crops of what the first one found: the plate of a car, the face of a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from runtime import ipc
from runtime.errors import Code, EdgewardError
from runtime.findings import Detection, Findings, Inside
from runtime.inference import Inference, View
from runtime.source.frame import Frame
from runtime.vision.preprocess import Crop


class Step(NamedTuple):
    """A stage and its loaded model."""

    spec: ipc.Stage
    inference: Inference


class Cascade:
    """Every stage looks at the first model's detections; its findings go into them.

    Args:
        steps: stages in the order of the configuration.
        labels: of the first model.

    Raises:
        EdgewardError: ``CONFIG_VALUE`` when a stage names a label that the first model does not have,
            ``BUNDLE_UNSUPPORTED`` when its model remembers streams: a crop is no stream.
    """

    def __init__(self, steps: Sequence[Step], labels: tuple[str, ...]) -> None:
        self._steps = steps
        for step in steps:
            unknown = sorted(set(step.spec.labels) - set(labels))
            if unknown:
                raise EdgewardError(
                    Code.CONFIG_VALUE,
                    f"the first model has no label {unknown[0]!r}",
                    where=f"stage {step.spec.name}",
                    remedy=f"use some of: {', '.join(labels[:20])}",
                )
            if step.inference.stateful:
                raise EdgewardError(
                    Code.BUNDLE_UNSUPPORTED,
                    "the model keeps a state for each stream and cannot look at crops",
                    where=f"stage {step.spec.name}: {step.inference.name}",
                    remedy="use a model without state",
                )

    def warm_up(self, frame: Frame) -> None:
        """Every stage once on the whole of ``frame``: what cannot work fails here.

        Raises:
            EdgewardError: what ``look_inside`` would have raised.
        """
        whole = (0, 0, frame.picture.width, frame.picture.height)
        for step in self._steps:
            for answer in step.inference.look([View(frame, "", whole)]):
                if isinstance(answer, EdgewardError):
                    raise _in_stage(step.spec, answer)

    def look_inside(self, frame: Frame, stream: str, found: Findings) -> Findings:
        """``found`` with what every stage sees in its detections.

        Raises:
            EdgewardError: a stage failed; the picture's result is then not known.
        """
        for step in self._steps:
            found = self._stage(step, frame, stream, found)
        return found

    def _stage(self, step: Step, frame: Frame, stream: str, found: Findings) -> Findings:
        chosen = [at for at, detection in enumerate(found.detections) if _wanted(step.spec, detection)]
        chosen.sort(key=lambda at: -found.detections[at].score)  # other packages' decoders need not sort
        del chosen[step.spec.max_crops :]
        width, height = frame.picture.width, frame.picture.height
        crops = [_crop(found.detections[at].box, step.spec.grow, width, height) for at in chosen]
        answers = step.inference.look([View(frame, stream, crop) for crop in crops])
        detections = list(found.detections)
        for at, answer in zip(chosen, answers, strict=True):
            if isinstance(answer, EdgewardError):
                raise _in_stage(step.spec, answer)
            inside = (*detections[at].inside, Inside(step.spec.name, answer))
            detections[at] = msgspec.structs.replace(detections[at], inside=inside)
        return msgspec.structs.replace(found, detections=tuple(detections))


def _in_stage(spec: ipc.Stage, error: EdgewardError) -> EdgewardError:
    where = f"stage {spec.name}: {error.where}"
    return EdgewardError(error.code, error.what, where=where, remedy=error.remedy)


def _wanted(spec: ipc.Stage, detection: Detection) -> bool:
    x1, y1, x2, y2 = detection.box
    return (
        (not spec.labels or detection.label in spec.labels)
        and detection.score >= spec.min_score
        and min(x2 - x1, y2 - y1) >= spec.min_size
    )


def _crop(box: tuple[float, float, float, float], grow: float, width: int, height: int) -> Crop:
    """The box, grown, as whole pixels inside the picture."""
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * grow, (y2 - y1) * grow
    left, top = min(max(0, math.floor(x1 - dx)), width - 1), min(max(0, math.floor(y1 - dy)), height - 1)
    right, bottom = min(width, math.ceil(x2 + dx)), min(height, math.ceil(y2 + dy))
    return left, top, max(1, right - left), max(1, bottom - top)
