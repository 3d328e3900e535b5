"""The way of a frame, top to bottom: preprocess, engine, decode of the outputs, result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import Code, EdgewardError
from runtime.ipc import Detection, Result
from runtime.model import Model
from runtime.source.frame import Frame, Picture
from runtime.vision.postprocess import YoloxDecoder
from runtime.vision.preprocess import Preprocessor

_GREY = Frame(
    picture=Picture("i420", 2, 2, "bt601", full_range=False),
    planes=(bytes([128]) * 4, bytes([128]), bytes([128])),
    strides=(2, 1, 1),
    index=0,
    session=0,
    pts_s=None,
    arrived_ns=0,
)


class Pipeline:
    """One model and what surrounds it. Not thread-safe: one inference thread owns it.

    Args:
        model: loaded; its buffers are used in place.
        score_threshold: 0..1, instead of the manifest's, or None.
    """

    def __init__(self, model: Model, *, score_threshold: float | None = None) -> None:
        manifest = model.manifest
        self._name = manifest.name
        if len(model.variant.inputs) != 1:
            raise EdgewardError(
                Code.BUNDLE_UNSUPPORTED,
                f"variant {model.variant.id!r} has {len(model.variant.inputs)} inputs, not one",
                where=manifest.name,
                remedy="use a model with one input, the picture",
            )
        self._engine = model.engine
        self._preprocessor = Preprocessor(manifest.preprocess, model.variant.inputs[0], where=manifest.name)
        self._decoder = YoloxDecoder(
            manifest.postprocess,
            manifest.labels,
            model.engine.outputs[0],
            self._preprocessor,
            score_threshold=score_threshold,
            where=manifest.name,
        )
        self.cpu_s = dict.fromkeys(("preprocess", "infer", "postprocess"), 0.0)

    def warm_up(self) -> None:
        """The whole way once with a grey picture: what cannot work fails here, not frame by frame.

        Raises:
            EdgewardError: what ``process`` would have reported.
        """
        self._frame_to_detections(_GREY)

    def process(self, frame: Frame, stream: str) -> Result:
        """The result of one frame; a failure of the engine is a result that says so, never silence."""
        try:
            detections = self._frame_to_detections(frame)
        except EdgewardError as error:
            return _result(frame, stream, status="failed", why=str(error))
        return _result(frame, stream, detections=detections)

    def _frame_to_detections(self, frame: Frame) -> tuple[Detection, ...]:
        try:
            with self._stage("preprocess"):
                plan = self._preprocessor.run(frame, self._engine.inputs[0])
            with self._stage("infer"):
                self._engine.run()
            with self._stage("postprocess"):
                return self._decoder.detections(frame, plan)
        except ValueError as error:
            remedy = "correct tensors, preprocess or postprocess in bundle.toml"
            raise EdgewardError(Code.MODEL_MISMATCH, str(error), where=self._name, remedy=remedy) from error

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Attribute the thread's CPU time to a stage: noise of the machine then hits all stages alike."""
        started = time.thread_time()
        try:
            yield
        finally:
            self.cpu_s[name] += time.thread_time() - started


def _result(frame: Frame, stream: str, **outcome: object) -> Result:
    return Result(
        stream=stream,
        session=frame.session,
        frame=frame.index,
        pts_s=frame.pts_s,
        arrived_ns=frame.arrived_ns,
        done_ns=time.monotonic_ns(),
        width=frame.picture.width,
        height=frame.picture.height,
        **outcome,  # type: ignore[arg-type]
    )
