"""What a variant answers to several pictures at a time is looked at, in each size that a worker may take."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.cli.main import main
from agent.preflight.check import BundleCheck, Settings
from agent.trust.ingest import ingest
from runtime import ipc
from tests import models
from tests.conftest import Signed, make_signed
from tests.integration import mischief

pytestmark = [pytest.mark.integration, pytest.mark.command]

BATCHES = """
[[variant]]
id = "batches"
engine = "mischief"
file = "batches.model"
input = [{ name = "x", dtype = "float32", shape = ["batch", 3, 32, 32] }]
output = [{ name = "y", dtype = "float32", shape = ["batch", 2] }]
[[variant]]
id = "reference"
engine = "onnxruntime"
file = "reference.onnx"
input = [{ name = "x", dtype = "float32", shape = [1, 3, 32, 32] }]
output = [{ name = "y", dtype = "float32", shape = [1, 2] }]
[preprocess]
fit = "stretch"
[postprocess]
decoder = "classification"
[golden]
frames = ["*.png"]
"""


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mischief.install(tmp_path / "site", monkeypatch)


def author(folder: Path, deed: str) -> Signed:
    """A bundle with six golden frames, which the engine that does ``deed`` answers as its author, or not."""
    folder.mkdir()
    answers = {"y": np.array([[0.125, 0.875]], np.float32)}
    (folder / "reference.onnx").write_bytes(
        models.constant(answers, (models.Input("x", "float32", (1, 3, 32, 32)),))
    )
    (folder / "batches.model").write_text(f"run:{deed}")
    (folder / "labels.txt").write_text("nothing\nsomething\n")
    for at in range(6):
        picture = np.full((48, 64, 3), 30 * at, np.uint8)
        assert cv2.imwrite(str(folder / f"{at}.png"), picture)
    head = '[bundle]\nname = "b"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
    (folder / "bundle.toml").write_text(head + BATCHES)
    return make_signed(folder.parent, folder, folder / "batches.model")


@pytest.mark.parametrize(
    ("deed", "at_a_time", "passes"),
    [
        ("right in batches", 4, True),
        ("lie in batches of 4", 1, True),
        ("lie in batches of 4", 4, False),
        # Smaller ones are taken too, and there are only six golden frames.
        ("lie in batches of 2", 8, False),
        ("lie in batches of 8", 8, False),
    ],
)
async def test_answers_to_several_frames_at_a_time_are_compared_too(
    tmp_path: Path, deed: str, at_a_time: int, passes: bool
) -> None:
    signed = author(tmp_path / "author", deed)
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    check = BundleCheck(bundle, ipc.EngineOptions(), Settings(rounds=30), max_batch=at_a_time)
    (found,) = (await check.run(["batches"])).variants
    assert found.batch == at_a_time
    assert (found.state == "passed") is passes, found
    if not passes:
        assert f"with {deed[-1]} frames at a time" in found.refusals[0].text
        assert found.refusals[0].code == "preflight.golden"


def test_the_command_looks_at_as_many_at_a_time_as_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = author(tmp_path / "author", "lie in batches of 4")
    command = ["preflight", str(signed.bundle), "--key", str(signed.key), "--variant", "batches"]
    assert main([*command, "--rounds", "30"]) == 0
    assert main([*command, "--max-batch", "4"]) == 14
    assert "with 4 frames at a time" in capsys.readouterr().out
