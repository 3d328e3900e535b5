"""Which decoder reads a model's outputs: the first recogniser that they fit, the narrowest first."""

from __future__ import annotations

from collections.abc import Callable

from runtime.authoring import guess_detectors, guess_other, guess_yolo
from runtime.authoring.guesses import Facts, Guess
from runtime.authoring.model_file import Model

Recogniser = Callable[[Facts], Guess | None]

# In this order: what has a form of its own first; [1, K, N] and [1, D] fit too much to come early.
RECOGNISERS: tuple[Recogniser, ...] = (
    guess_detectors.yunet,
    guess_detectors.ssd_postprocessed,
    guess_detectors.faces_or_raw_ssd,
    guess_detectors.movenet,
    guess_detectors.dfl_maps,
    guess_detectors.dfl_split,
    guess_yolo.yolov5_raw,
    guess_yolo.yolov10,
    guess_yolo.yolox_or_yolov5,
    guess_detectors.dfl_rows,
    guess_yolo.yolov8,
    guess_detectors.fastestdet,
    guess_other.semantic,
    guess_other.vector,
)


def facts_of(model: Model, labels: int) -> Facts:
    """What recognisers look at; ``labels``: how many the author has given, or 0."""
    picture = model.picture
    return Facts(model.outputs, picture.width, picture.height, model.contents.notes, labels)


def recognise(facts: Facts) -> Guess:
    """The best guess; ``tensors`` where nothing fits."""
    for recogniser in RECOGNISERS:
        guess = recogniser(facts)
        if guess is not None:
            return guess
    return guess_other.tensors(facts)
