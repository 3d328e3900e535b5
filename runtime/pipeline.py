"""The way of a frame, top to bottom: tiles, the model, the cascade, result."""

from __future__ import annotations

import time
from collections.abc import Sequence

from runtime.cascade import Cascade
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.inference import Found, Inference, View
from runtime.ipc import Result
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock
from runtime.tiling import Tiles

_SIDE = 64
# From dark to bright: models that divide by the spread of a picture give no numbers for an even one.
_RAMP = Frame(
    picture=Picture("i420", _SIDE, _SIDE, "bt601", full_range=False),
    planes=(
        bytes(range(32, 32 + 2 * _SIDE, 2)) * _SIDE,
        bytes([128]) * (_SIDE // 2) ** 2,
        bytes([128]) * (_SIDE // 2) ** 2,
    ),
    strides=(_SIDE, _SIDE // 2, _SIDE // 2),
    index=0,
    session=0,
    pts_s=None,
    arrived_ns=0,
)


class Pipeline:
    """A model and what stands around it. Not thread-safe: one inference thread owns it.

    Args:
        inference: the first model.
        clock: the one that its models tell what they cost.
        tiles: look at tiles of the picture, or None.
        cascade: further models, or None.

    Raises:
        EdgewardError: ``BUNDLE_UNSUPPORTED`` when tiles or stages are asked of a model that has no boxes.
    """

    def __init__(
        self,
        inference: Inference,
        clock: StageClock,
        *,
        tiles: Tiles | None = None,
        cascade: Cascade | None = None,
    ) -> None:
        self.clock = clock
        self._inference = inference
        self._tiles = tiles
        self._cascade = cascade
        if tiles is not None and inference.stateful:
            raise EdgewardError(
                Code.BUNDLE_UNSUPPORTED,
                "the model keeps a state for each stream and cannot look at tiles",
                where=inference.name,
                remedy="leave out tiling",
            )

    @property
    def batch(self) -> int:
        """How many frames are best taken at a time."""
        return max(1, self._inference.sizes[-1] // (len(self._tiles) if self._tiles else 1))

    def warm_up(self) -> None:
        """The whole way once with a picture of grey tones: what cannot work fails here, not frame by frame.

        Raises:
            EdgewardError: what ``process`` would have reported.
        """
        for found in self._look([("", _RAMP)]):
            if isinstance(found, EdgewardError):
                raise found
        self._inference.forget("")
        if self._cascade is not None:
            self._cascade.warm_up(_RAMP)

    def process(self, items: Sequence[tuple[str, Frame]]) -> list[Result]:
        """The result of each frame (its stream's name beside it), in their order.

        A failure of the engine is a result that says so, never silence.
        """
        return [
            _result(stream, frame, found)
            for (stream, frame), found in zip(items, self._look(items), strict=True)
        ]

    def _look(self, items: Sequence[tuple[str, Frame]]) -> list[Found]:
        if self._tiles is None:
            found = self._inference.look([View(frame, stream) for stream, frame in items])
        else:
            found = self._look_at_tiles(self._tiles, items)
        if self._cascade is None:
            return found
        return [
            self._look_inside(self._cascade, stream, frame, answer)
            for (stream, frame), answer in zip(items, found, strict=True)
        ]

    def _look_at_tiles(self, tiles: Tiles, items: Sequence[tuple[str, Frame]]) -> list[Found]:
        views = [
            View(frame, stream, crop)
            for stream, frame in items
            for crop in tiles.crops(frame.picture.width, frame.picture.height)
        ]
        answers = self._inference.look(views)
        merged: list[Found] = []
        for at, (_, frame) in enumerate(items):
            parts: list[Findings] = []
            for part in answers[at * len(tiles) : (at + 1) * len(tiles)]:
                if isinstance(part, EdgewardError):
                    merged.append(part)  # a tile that was not seen: nobody knows what is in the picture
                    break
                parts.append(part)
            else:
                merged.append(tiles.merge(parts, frame.picture.width, frame.picture.height))
        return merged

    @staticmethod
    def _look_inside(cascade: Cascade, stream: str, frame: Frame, found: Found) -> Found:
        if isinstance(found, EdgewardError):
            return found
        try:
            return cascade.look_inside(frame, stream, found)
        except EdgewardError as error:
            return error


def _result(stream: str, frame: Frame, found: Found) -> Result:
    failed = isinstance(found, EdgewardError)
    findings = Findings() if isinstance(found, EdgewardError) else found
    return Result(
        stream=stream,
        session=frame.session,
        frame=frame.index,
        pts_s=frame.pts_s,
        arrived_ns=frame.arrived_ns,
        done_ns=time.monotonic_ns(),
        width=frame.picture.width,
        height=frame.picture.height,
        status="failed" if failed else "detections",
        why=str(found) if failed else "",
        detections=findings.detections,
        classes=findings.classes,
        segmentation=findings.segmentation,
        embedding=findings.embedding,
        tensors=findings.tensors,
    )
