"""Cameras that share an inference each get their own answer."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from runtime import ipc
from tests import models
from tests.integration.worker_peer import Worker

pytestmark = pytest.mark.integration

LEVELS = {"a": 40, "b": 90, "c": 160, "d": 220}
EACH = 40


def film(path: Path, level: int) -> Path:
    """One even grey, 64x64, 50 pictures a second."""
    with av.open(str(path), "w", format="mp4") as container:
        video = cast("av.VideoStream", container.add_stream("libx264", rate=Fraction(50)))
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        planes = np.full((96, 64), 128, np.uint8)
        planes[:64] = level
        for _ in range(60):
            container.mux(video.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("max_batch", [1, 8])
def test_every_stream_gets_the_answer_to_its_own_picture(tmp_path: Path, max_batch: int) -> None:
    folder, digest = models.bundle_folder(
        tmp_path / "bundle",
        models.brightness(models.Input("images", "float32", ("batch", 3, 32, 32))),
        inputs=(models.tensor("images", "float32", ("batch", 3, 32, 32)),),
        outputs=(models.tensor("output", "float32", ("batch", 1)),),
        preprocess={"fit": "stretch"},
        postprocess={"decoder": "embedding", "normalise": False},
        task="embedding",
    )
    streams = tuple(
        ipc.StreamSpec(name=name, url=str(film(tmp_path / f"{name}.mp4", level)), loop=True)
        for name, level in LEVELS.items()
    )
    start = ipc.Start(
        pipeline="p",
        bundle_dir=str(folder),
        manifest_sha256=digest,
        streams=streams,
        max_batch=max_batch,
    )
    counts = dict.fromkeys(LEVELS, 0)
    batch = 0

    def enough(message: ipc.FromWorker) -> bool:
        nonlocal batch
        if isinstance(message, ipc.Ready):
            batch = message.batch
        if isinstance(message, ipc.Result):
            # Limited range: 16 is black, 235 is white.
            expected = (LEVELS[message.stream] - 16) * 255 / 219
            assert message.embedding[0] == pytest.approx(expected, abs=3)
            counts[message.stream] += 1
        return min(counts.values()) >= EACH

    with Worker(start) as worker:
        worker.until(enough)
    assert 1 <= batch <= max_batch
