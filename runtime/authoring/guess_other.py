"""Recognises classification, segmentation and embeddings; whatever is left is handed out as it is."""

from __future__ import annotations

import re

import numpy as np

from runtime.authoring import conventions
from runtime.authoring.conventions import Convention
from runtime.authoring.guesses import Facts, Guess, largest, probabilities, sums_to_one, whole
from runtime.bundle.decoders import Activation, Classification, Embedding, Semantic, Tensors

_TORCH = Convention("torchvision", "crop", "rgb", conventions.TORCHVISION, sampling="area")
_LITE = Convention("TensorFlow Lite's examples", "stretch", "rgb", conventions.CENTRED, sampling="area")
_CAFFE = Convention("Caffe", "stretch", "bgr", conventions.CAFFE, sampling="area")
_MASKS = Convention("torchvision", "stretch", "rgb", conventions.TORCHVISION)
_FACES = Convention("InsightFace", "stretch", "rgb", conventions.CENTRED)
_VECTOR = re.compile("embed|feat|vector|descriptor", re.IGNORECASE)
_USUAL_VECTORS = (64, 128, 256, 384, 512, 768, 1024, 2048)


def convention(facts: Facts) -> Convention:
    """Of a classifier, by who exported the file."""
    producer = facts.notes.get("producer")
    if producer is None:
        return _LITE
    return _CAFFE if "caffe" in producer.lower() else _TORCH


def vector(facts: Facts) -> Guess | None:
    """``[1, D]``: an embedding or class scores."""
    if len(facts.outputs) != 1:
        return None
    output = facts.outputs[0]
    size = output.values.size
    if size < 2 or size != max(output.shape) or output.shape[0] != 1:
        return None
    values = output.values.reshape(1, size)
    length = float(np.linalg.norm(values.astype(np.float64)))
    softmax = sums_to_one(values, 1)
    if not softmax and size >= 16 and (abs(length - 1) < 1e-3 or _VECTOR.search(output.name)):
        why = (
            f"{list(output.shape)}, of length 1"
            if abs(length - 1) < 1e-3
            else f"{output.name!r} {list(output.shape)}"
        )
        return Guess(
            Embedding(),
            (0,),
            0,
            f"{why}: a vector",
            _FACES,
            instead=("classification: if it scores classes",),
        )
    activation: Activation = "none" if softmax or probabilities(values) else "softmax"
    scores = (
        {True: "scores that sum up to 1", False: "scores of 0 to 1"}[softmax]
        if activation == "none"
        else ("numbers that are no probabilities; if they score classes, a softmax is still to come")
    )
    sure = softmax or size == facts.labels
    instead = [] if sure else ["tensors: if they are coordinates or measurements and score no classes"]
    if size in _USUAL_VECTORS and not sure:
        instead.append(f"embedding: if the {size} numbers are a vector")
    several = '[postprocess] activation: "sigmoid" where several classes may hold at once'
    return Guess(
        Classification(activation=activation),
        (0,),
        size,
        f"{list(output.shape)}: {size} {scores}",
        convention(facts),
        instead=tuple(instead),
        unknown=(several,) if activation == "softmax" else (),
    )


def semantic(facts: Facts) -> Guess | None:
    """A class or scores for each cell of a grid as large as an eighth of the picture at least."""
    if len(facts.outputs) != 1:
        return None
    output = facts.outputs[0]
    shape = output.shape
    if len(shape) == 3 and shape[0] == 1 and _grid(facts, shape[1], shape[2]):
        most = int(largest(output.values)) + 1
        if whole(output.values):
            return Guess(
                Semantic(),
                (0,),
                facts.labels or None,
                f"{list(shape)}: a whole number for each cell, the class",
                _MASKS,
                unknown=(f"labels: noise gave classes up to {most - 1}; the model may know more",),
            )
    if len(shape) != 4 or shape[0] != 1:
        return None
    for layout, classes, rows, columns in (("nchw", shape[1], *shape[2:]), ("nhwc", shape[3], *shape[1:3])):
        if _grid(facts, rows, columns) and classes <= 256:
            return Guess(
                Semantic(
                    layout=layout,  # type: ignore[arg-type]
                    activation="sigmoid" if classes == 1 and not probabilities(output.values) else "none",
                ),
                (0,),
                classes,
                f"{list(shape)}: {classes} score{'s' if classes > 1 else ''} for each cell of a grid",
                _MASKS,
                instead=(
                    ()
                    if classes == facts.labels
                    else (
                        "tensors: if these are measurements, as of depth, heatmaps of keypoints, a picture",
                    )
                ),
            )
    return None


def _grid(facts: Facts, rows: int, columns: int) -> bool:
    return (
        rows * 8 >= facts.height
        and columns * 8 >= facts.width
        and abs(rows * facts.width - columns * facts.height) <= max(facts.width, facts.height)
    )


def tensors(facts: Facts) -> Guess:
    """Nothing known: the numbers as they are."""
    shapes = ", ".join(f"{one.name} {list(one.shape)}" for one in facts.outputs)
    return Guess(
        Tensors(),
        tuple(range(len(facts.outputs))),
        0,
        f"no decoder is known for {shapes}",
        convention(facts),
        instead=("plugin: a package of your own that decodes",),
        unknown=(
            "[postprocess]: what the outputs mean; they are handed out as they are, at most 1 MiB a picture",
        ),
    )
