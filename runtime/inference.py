"""One loaded model, from pictures or parts of them to what it found in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from runtime import batching
from runtime.bundle.check_model import resolved
from runtime.bundle.decoders import Plugin
from runtime.engine import Array, Binding, batchable, guarded
from runtime.errors import Code, EdgewardError
from runtime.feeds import Feeds
from runtime.findings import Findings
from runtime.foreign import ForeignDecoder
from runtime.model import Model
from runtime.source.frame import Frame
from runtime.stages import StageClock
from runtime.vision import decoders
from runtime.vision.outputs import Outputs
from runtime.vision.placement import Placement
from runtime.vision.preprocess import Crop, Preprocessor

Found = Findings | EdgewardError
"""What was found in a picture, or why that is not known."""


class View(NamedTuple):
    """A picture to look at, or a part of it; ``stream`` is whose past a stateful model remembers."""

    frame: Frame
    stream: str
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    """Everything that is kept for one batch size. ``slots`` are the pictures' tensors, one by one."""

    binding: Binding
    pictures: Array
    slots: tuple[Array, ...]
    outputs: Outputs
    feeds: Feeds


class Inference:
    """A model with its preprocessing and decoding. Not thread-safe: one inference thread owns it.

    Args:
        model: loaded; its buffers are used in place.
        clock: told what each stage costs.
        score_threshold: 0..1, instead of the manifest's, or None.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when preprocess or postprocess do not fit the tensors.
    """

    def __init__(self, model: Model, clock: StageClock, *, score_threshold: float | None = None) -> None:
        variant = model.variant
        self.labels = model.manifest.labels
        self.name = model.manifest.name
        self._model = model
        self._clock = clock
        self._at = next(at for at, spec in enumerate(variant.inputs) if spec.feed == "picture")
        picture = variant.inputs[self._at]
        shape = resolved(picture, variant, batch=1)
        self._preprocessor = Preprocessor(model.preprocess, picture, shape, where=self.name)
        self._batches: dict[int, _Batch] = {}
        self.sizes: tuple[int, ...] = (1,)
        single = self._batch(1)
        self.stateful = single.feeds.stateful
        decoder = decoders.build(
            model.postprocess,
            decoders.Context(
                labels=model.manifest.labels,
                width=self._preprocessor.width,
                height=self._preprocessor.height,
                outputs=single.outputs.describe(),
                score_threshold=score_threshold,
                read=model.read,
                where=self.name,
            ),
        )
        foreign = isinstance(model.postprocess, Plugin)
        self._decoder = ForeignDecoder(decoder, where=self.name) if foreign else decoder

    def measure_batches(self, limit: int) -> None:
        """Find out which batch sizes up to ``limit`` gain, where the model takes batches at all."""
        variant = self._model.variant
        if limit < 2 or not batchable(variant) or self._batches[1].feeds.one_by_one:
            return
        # Of an output without the batch nobody knows which rows of it belong to which picture.
        pictures = variant.inputs[self._at].shape[0]
        if any(spec.shape[:1] != (pictures,) for spec in variant.outputs):
            return

        def seconds(size: int) -> float:
            batch = self._batch(size)
            return batching.fastest_of(lambda: self._infer(batch))

        try:
            self.sizes = batching.worthwhile(seconds, limit=limit)
        except EdgewardError:
            # A graph may have an open first dimension and yet a fixed 1 inside: a model for one picture.
            self.sizes = (1,)
        for size in sorted(set(self._batches) - set(self.sizes)):
            del self._batches[size]
            with guarded(Code.MODEL_LOAD, where=self.name):
                self._model.engine.release(size)

    def look(self, views: Sequence[View]) -> list[Found]:
        """What the model finds in each view, in their order; an error stands for the views it concerns."""
        found: list[Found] = []
        for size in batching.portions(len(views), self.sizes):
            found += self._portion(views[len(found) : len(found) + size])
        return found

    def forget(self, stream: str) -> None:
        """Keep nothing of a stream that will not come again."""
        for batch in self._batches.values():
            batch.feeds.forget(stream)

    def _portion(self, views: Sequence[View]) -> list[Found]:
        try:
            return self._run(self._batch(len(views)), views)
        except (EdgewardError, ValueError) as error:
            if len(views) > 1:
                # What is wrong with one camera's picture must not cost the others theirs.
                return [found for view in views for found in self._portion([view])]
            return [error if isinstance(error, EdgewardError) else self._mismatch(error)]

    def _batch(self, size: int) -> _Batch:
        batch = self._batches.get(size)
        if batch is None:
            with guarded(Code.MODEL_LOAD, where=self.name):
                binding = self._model.engine.bind(size)
                pictures = binding.inputs[self._at]
                # A batch lies in memory picture after picture, whatever the layout of each.
                slots = tuple(pictures[at : at + 1] for at in range(size))
                outputs = Outputs(binding.outputs, self._model.engine.outputs, size)
                feeds = Feeds(self._model.variant, binding)
            batch = self._batches[size] = _Batch(binding, pictures, slots, outputs, feeds)
        return batch

    def _run(self, batch: _Batch, views: Sequence[View]) -> list[Found]:
        clock, feeds, first = self._clock, batch.feeds, views[0]
        clock.start()
        if len(views) == 1 and first.crop is None:
            places = [self._preprocessor.run(first.frame, batch.slots[0])]
        else:
            places = list(self._fill(batch, views))
        if feeds.one_by_one:
            feeds.before(first.stream, first.frame.session, places[0], _size(first))
        clock.done("preprocess")
        self._infer(batch)
        clock.done("infer")
        found = [self._decode(batch, at, place) for at, place in enumerate(places)]
        if feeds.stateful:
            if isinstance(found[0], EdgewardError):
                feeds.forget(first.stream)
            else:
                feeds.after(first.stream, first.frame.session)
        clock.done("postprocess")
        return found

    def _infer(self, batch: _Batch) -> None:
        with guarded(Code.MODEL_RUN, where=self.name):
            batch.binding.run()

    def _fill(self, batch: _Batch, views: Sequence[View]) -> Iterator[Placement]:
        """Preprocess each view into its slot; the crops of one frame in one call."""
        at = 0
        for (_, whole), group in groupby(views, key=lambda view: (id(view.frame), view.crop is None)):
            part = list(group)
            if whole:
                for view in part:
                    yield self._preprocessor.run(view.frame, batch.slots[at])
                    at += 1
            else:
                crops = [view.crop for view in part if view.crop is not None]
                out = batch.pictures[at : at + len(crops)]
                yield from self._preprocessor.run_crops(part[0].frame, crops, out)
                at += len(crops)

    def _decode(self, batch: _Batch, at: int, place: Placement) -> Found:
        try:
            return self._decoder.decode(batch.outputs.of(at), place)
        except EdgewardError as error:
            return error
        except ValueError as error:
            return self._mismatch(error)

    def _mismatch(self, error: ValueError) -> EdgewardError:
        remedy = "correct tensors, preprocess or postprocess in bundle.toml"
        return EdgewardError(Code.MODEL_MISMATCH, str(error), where=self.name, remedy=remedy)


def _size(view: View) -> tuple[int, int]:
    """Height and width of what is looked at, source pixels."""
    if view.crop is not None:
        return view.crop[3], view.crop[2]
    return view.frame.picture.height, view.frame.picture.width
