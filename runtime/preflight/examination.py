"""What is found out about a variant, in this order: that it loads, what it answers, what a frame costs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import BinaryIO

from runtime import ipc, model
from runtime.agent_link import Agent
from runtime.bundle.manifest import Golden
from runtime.engine import affinity
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.golden import results, y4m
from runtime.golden.compare import compare
from runtime.inference import Inference
from runtime.model import Model
from runtime.pipeline import Pipeline
from runtime.preflight import memory
from runtime.preflight.latency import measured
from runtime.preflight.messages import (
    Candidate,
    Candidates,
    Examined,
    Examining,
    GoldenFigures,
    LatencyFigures,
    Step,
)
from runtime.preflight.signed_stream import open_signed
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock

STREAM = "preflight"
# Golden frames that are kept for the latency: a few, so that they cost the figure of memory little.
_KEPT_FRAMES = 8
_KEPT_BYTES = 32 << 20
_TELL_EVERY_S = 0.2
_WHY = 1000
# What a camera sends, for a bundle that brings no frames.
_WIDTH, _HEIGHT = 1920, 1080


def candidates(task: ipc.Examine) -> Candidates:
    """The variants of the bundle, and what holds for all of them.

    Raises:
        EdgewardError: see ``model.read_manifest``.
    """
    manifest = model.read_manifest(Path(task.bundle_dir), task.manifest_sha256)
    budgets = manifest.budgets
    return Candidates(
        variants=tuple(
            Candidate(id=variant.id, engine=variant.engine, precision=variant.precision)
            for variant in manifest.variants
        ),
        golden=manifest.golden.count if manifest.golden else 0,
        latency_p95_ms=budgets.latency_p95_ms,
        memory_mb=budgets.memory_mb,
        load_ms=budgets.load_ms,
    )


class Examination:
    """One variant, examined in this process and thread, the way that a worker runs it.

    Args:
        task: names the variant.
        agent: is told how far it is, and says when latency may be measured.
    """

    def __init__(self, task: ipc.Examine, agent: Agent) -> None:
        self._task = task
        self._agent = agent
        self._told_at = 0.0

    def run(self) -> Examined:
        """All steps; the last one only when the answers are right.

        Raises:
            EdgewardError: ``ENGINE_UNAVAILABLE`` when this board cannot run the variant, ``MODEL_*`` when it
                does not load or run, ``BUNDLE_DIGEST`` when a file is not the one that was signed.
        """
        with affinity.returned():
            return self._run()

    def _run(self) -> Examined:
        task = self._task
        self._tell("load", 0, 0)
        began = time.monotonic()
        clock = StageClock()
        loaded = model.load(Path(task.bundle_dir), task.manifest_sha256, task.engine)
        inference = Inference(loaded, clock)
        pipeline = Pipeline(inference, clock)
        pipeline.warm_up()
        load_ms = round((time.monotonic() - began) * 1e3, 1)
        inference.measure_batches(task.max_batch)
        golden = self._golden(loaded, pipeline, inference.sizes)
        latency = None
        if golden is None or golden.passed:
            inference.forget(STREAM)
            latency = self._latency(loaded, pipeline)
        return Examined(
            variant=loaded.variant.id,
            engine=loaded.variant.engine,
            provider=loaded.engine.provider,
            load_ms=load_ms,
            batch=pipeline.batch,
            golden=golden,
            latency=latency,
            peak_mb=memory.peak_mb(),
            pss_mb=memory.pss_mb(),
        )

    def _golden(self, loaded: Model, pipeline: Pipeline, sizes: Sequence[int]) -> GoldenFigures | None:
        """The answers, to frames one by one and then to as many at a time as a worker may take."""
        declared = loaded.manifest.golden
        if declared is None:
            return None
        written = loaded.read(declared.results)
        expected = results.parse(written, where=declared.results, count=declared.count).findings
        for at_once in sizes:
            figures = self._compared(loaded, pipeline, declared, expected, at_once)
            if not figures.passed:
                break
        return figures

    def _compared(
        self, loaded: Model, pipeline: Pipeline, declared: Golden, expected: Sequence[Findings], at_once: int
    ) -> GoldenFigures:
        found: list[Findings] = []
        source = _golden_frames(loaded, declared)
        while group := list(islice(source, at_once)):
            self._tell("golden", len(found), declared.count)
            # Filled up with frames that do not count: fewer would be taken in smaller batches.
            full = list(islice(cycle(group), at_once))
            found += _answers(pipeline, full)[: len(group)]
        agreement = compare(expected, found, declared.metric)
        return GoldenFigures(
            passed=agreement.passed,
            frames=len(found),
            # What is no number has no place in a report: the sentence says it.
            figures={name: value for name, value in agreement.figures.items() if math.isfinite(value)},
            why=(agreement.why if at_once == 1 else f"with {at_once} frames at a time: {agreement.why}")[
                :_WHY
            ],
        )

    def _latency(self, loaded: Model, pipeline: Pipeline) -> LatencyFigures | None:
        declared = loaded.manifest.golden
        frames = [ramp()] if declared is None else _kept(_golden_frames(loaded, declared))
        self._tell("latency", 0, self._task.rounds)
        if not isinstance(self._agent.receive(None), ipc.Measure):
            return None
        return measured(
            lambda frame: _answers(pipeline, [frame]),
            frames,
            pipeline.clock,
            self._task.rounds,
            self._task.measure_s,
            self._task.last_s,
            lambda done: self._tell("latency", done, self._task.rounds),
        )

    def _tell(self, step: Step, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 0 or now - self._told_at > _TELL_EVERY_S:
            self._told_at = now
            self._agent.send(Examining(step=step, done=done, total=total))


def _golden_frames(loaded: Model, declared: Golden) -> Iterator[Frame]:
    def open_file(name: str) -> BinaryIO:
        return open_signed(loaded.folder, loaded.manifest, name)

    return y4m.golden_frames(declared.frames, open_file, count=declared.count)


def _answers(pipeline: Pipeline, frames: Sequence[Frame]) -> list[Findings]:
    """What the pipeline finds in each frame.

    Raises:
        EdgewardError: ``MODEL_RUN`` when a frame fails.
    """
    found = []
    for result in pipeline.process([(STREAM, frame) for frame in frames]):
        if result.status != "detections":
            raise EdgewardError(Code.MODEL_RUN, result.why, remedy="ask the bundle's author")
        found.append(
            Findings(
                detections=result.detections,
                classes=result.classes,
                segmentation=result.segmentation,
                embedding=result.embedding,
                tensors=result.tensors,
            )
        )
    return found


def _kept(frames: Iterator[Frame]) -> list[Frame]:
    """The first few, all of one size."""
    kept: list[Frame] = []
    taken = 0
    for frame in frames:
        taken += sum(len(memoryview(plane)) for plane in frame.planes)
        if kept and (frame.picture != kept[0].picture or taken > _KEPT_BYTES or len(kept) == _KEPT_FRAMES):
            break
        kept.append(frame)
    return kept


def ramp() -> Frame:
    """A picture from dark to bright, as large as a camera's."""
    row = bytes(16 + 219 * x // (_WIDTH - 1) for x in range(_WIDTH))
    grey = bytes([128]) * (_WIDTH // 2 * _HEIGHT // 2)
    return Frame(
        picture=Picture("i420", _WIDTH, _HEIGHT, "bt709", full_range=False),
        planes=(row * _HEIGHT, grey, grey),
        strides=(_WIDTH, _WIDTH // 2, _WIDTH // 2),
        index=0,
        session=0,
        pts_s=None,
        arrived_ns=0,
    )
