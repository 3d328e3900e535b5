"""How fast variants are beside each other: by turns, so that noise of the machine hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import cycle

from runtime.authoring.evidence import seen
from runtime.inference import Inference
from runtime.source.frame import Frame

_TURNS = 6
_FRAMES_A_TURN = 10
_LIMIT_S = 20.0


def medians_ms(variants: Sequence[Inference], frames: Sequence[Frame]) -> list[float]:
    """Median milliseconds of a frame, from preprocessing to decoding, of each of ``variants``."""
    took: list[list[float]] = [[] for _ in variants]
    until = time.monotonic() + _LIMIT_S
    for turn in range(_TURNS):
        for inference, times in zip(variants, took, strict=True):
            # The first frame of a turn brings the model back into the caches that the others have taken.
            for number, frame in zip(range(_FRAMES_A_TURN + 1), cycle(frames)):
                began = time.perf_counter()
                seen(inference, frame)
                if number:
                    times.append((time.perf_counter() - began) * 1e3)
        if turn and time.monotonic() > until:
            break
    return list(map(statistics.median, took))
