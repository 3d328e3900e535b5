"""From the agent's ``Start`` to a pipeline that is ready: models loaded, measured and warm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime import ipc, model
from runtime.bundle.decoders import Classification, Embedding, Semantic, Tensors
from runtime.cascade import Cascade, Step
from runtime.engine import affinity
from runtime.errors import Code, EdgewardError
from runtime.inference import Inference
from runtime.model import Model
from runtime.pipeline import Pipeline
from runtime.stages import StageClock
from runtime.tiling import Tiles


@dataclass(frozen=True, slots=True)
class Assembled:
    """The pipeline, and its models for those who want to know what runs: the first, and by stage.

    ``sizes``: the numbers of pictures that each is bound for, by name of the stage; the first one's: "".
    """

    model: Model
    stages: dict[str, Model]
    pipeline: Pipeline
    sizes: dict[str, tuple[int, ...]]


def assemble(start: ipc.Start) -> Assembled:
    """Load every model of a pipeline, find out how each is best run, and go the whole way once.

    Raises:
        EdgewardError: what keeps the pipeline from working at all; see ``model.load``, ``Inference``.
    """
    with affinity.returned():
        return _assembled(start)


def _assembled(start: ipc.Start) -> Assembled:
    clock = StageClock()
    loaded = model.load(Path(start.bundle_dir), start.manifest_sha256, start.engine)
    inference = Inference(loaded, clock, score_threshold=start.score_threshold)
    tiles = None if start.tiling is None else Tiles(start.tiling)
    if tiles is not None:
        _must_have_boxes(loaded, "tiling")
    # More pictures than can wait at a time never come together.
    at_a_time = len(start.streams) * (len(tiles) if tiles else 1)
    inference.measure_batches(min(start.max_batch, at_a_time))
    sizes = {"": inference.sizes}
    stages: dict[str, Model] = {}
    steps = []
    for stage in start.stages:
        _must_have_boxes(loaded, f"stage {stage.name}")
        inner = stages[stage.name] = model.load(Path(stage.bundle_dir), stage.manifest_sha256, stage.engine)
        step = Step(stage, Inference(inner, clock, score_threshold=stage.score_threshold))
        step.inference.measure_batches(min(stage.max_batch, stage.max_crops))
        sizes[stage.name] = step.inference.sizes
        steps.append(step)
    cascade = Cascade(steps, loaded.manifest.labels) if steps else None
    pipeline = Pipeline(inference, clock, tiles=tiles, cascade=cascade)
    pipeline.warm_up()
    return Assembled(loaded, stages, pipeline, sizes)


def _must_have_boxes(loaded: Model, asker: str) -> None:
    decoder = loaded.postprocess
    if isinstance(decoder, Classification | Embedding | Semantic | Tensors):
        raise EdgewardError(
            Code.BUNDLE_UNSUPPORTED,
            f"{asker} needs boxes, the decoder {decoder.__struct_config__.tag} gives none",
            where=loaded.manifest.name,
            remedy="use a model that detects, or leave this out",
        )
