"""The committed detector on belts that it was not trained on, after a camera's video coding."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from examples.conveyor.dataset import TRAINING_SEEDS
from examples.conveyor.detect import MODEL, Reference
from examples.conveyor.footage import write_footage
from examples.conveyor.score import score
from examples.rtsp.access_units import decode_access_units

pytestmark = [pytest.mark.integration, pytest.mark.command]

SEEDS = range(9000, 9008)
FRAMES = 40
FPS = 5  # a third of the demo's, so that three times as many parts come by


def test_the_model_is_what_the_bundle_says() -> None:
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape, taken.type) == ("images", [1, 3, 224, 384], "tensor(float)")
    assert (given.name, given.shape, given.type) == ("output", [1, 1764, 9], "tensor(float)")
    assert MODEL.stat().st_size < 1_500_000


def test_parts_on_unseen_belts_are_found_and_told_apart(tmp_path: Path) -> None:
    assert not set(SEEDS) & set(TRAINING_SEEDS)
    reference = Reference()
    frames = []
    for seed in SEEDS:
        path = tmp_path / f"{seed}.aus"
        truths = write_footage(path, seed=seed, codec="h264", frames=FRAMES, fps=FPS)
        found = [reference.detect(image, threshold=0.05) for image in decode_access_units(path)]
        frames += list(zip(found, truths, strict=True))
    assert len(frames) >= 300
    result = score(frames, threshold=0.5)
    assert result.mean_ap >= 0.95, result
    assert result.precision >= 0.95, result
    assert result.recall >= 0.95, result
