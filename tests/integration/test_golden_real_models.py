"""Real models on real pictures: what the device's path finds is what the reference path finds.

With the metrics' defaults, by way of packed golden frames; and a variant that is broken is refused.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runtime import model
from runtime.bundle.pack import pack_bundle
from runtime.findings import Findings
from runtime.golden import results, y4m
from runtime.golden.agreement import Agreement
from runtime.golden.compare import compare
from runtime.inference import Inference, View
from runtime.ipc import EngineOptions
from runtime.stages import StageClock

from . import real_models
from .real_models import RealModel

pytestmark = [pytest.mark.integration, pytest.mark.command]

HEAD = '[bundle]\nname = "m"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
# H.264 limited range, H.264 full range, JPEG 4:2:0 and 4:4:4, BMP: each kind of picture that there is.
FRAMES = ["*.jpg", "*.bmp", "one-by-one-person-detection.mp4#200-1300:100", "asl_walk.mkv#0,30,60"]
BROKEN = """
[[variant]]
id = "tflite-int8"
engine = "litert"
file = "yolox_nano_int8_quantize.tflite"
precision = "int8"
input = [{ name = "serving_default_images:0", dtype = "float32", shape = [1, 3, 416, 416] }]
output = [{ name = "PartitionedCall:0", dtype = "float32", shape = [1, 3549, 85] }]
"""


def variant_of(one: RealModel) -> str:
    """Its ``[[variant]]`` alone."""
    return one.manifest.partition("[preprocess]")[0].replace("FILE", one.file)


def agreements(work: Path, data: Path, first: RealModel, *others: str) -> dict[str, Agreement]:
    """Of each variant of a bundle: the first model's, and ``others``."""
    author = work / "author"
    author.mkdir()
    (author / "labels.txt").write_text("\n".join(first.labels(data / "models")))
    for path in (data / "models").iterdir():
        if path.name == first.file or any(path.name in other for other in others):
            shutil.copy(path, author)
    for path in (data / "images").iterdir():
        if path.suffix in {".jpg", ".bmp"}:
            shutil.copy(path, author)
    for name in ("one-by-one-person-detection.mp4", "asl_walk.mkv"):
        shutil.copy(data / "videos" / name, author)
    listed = ", ".join(f'"{name}"' for name in FRAMES)
    toml = HEAD + first.manifest.replace("FILE", first.file) + "".join(others)
    (author / "bundle.toml").write_text(f"{toml}\n[golden]\nframes = [{listed}]\n")
    manifest = pack_bundle(author, work / "x.ewb").manifest
    folder = work / "bundle"
    folder.mkdir()
    subprocess.run(["tar", "-xf", work / "x.ewb", "-C", folder], check=True)
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    golden = manifest.golden
    assert golden is not None
    expected = results.parse((folder / golden.results).read_bytes(), where="results", count=golden.count)
    found = {}
    for variant in manifest.variants:
        loaded = model.load(folder, digest, EngineOptions(variant=variant.id))
        inference = Inference(loaded, StageClock())
        frames = y4m.golden_frames(golden.frames, lambda name: (folder / name).open("rb"), count=golden.count)
        answers = [inference.look([View(frame, "golden")])[0] for frame in frames]
        sound = [answer for answer in answers if isinstance(answer, Findings)]
        found[variant.id] = compare(expected.findings, sound, golden.metric)
        loaded.engine.close()
    return found


def test_yolox_passes_in_32_and_16_bits_and_the_broken_int8_is_refused(
    test_data: Path, tmp_path: Path
) -> None:
    float16 = variant_of(real_models.YOLOX_TFLITE)
    onnx = real_models.YOLOX_ONNX
    onnx = replace(onnx, manifest=onnx.manifest.replace('id = "tflite-float16"', 'id = "onnx-float32"'))
    found = agreements(tmp_path, test_data, onnx, float16, BROKEN)
    for name in ("onnx-float32", "tflite-float16"):
        right = found[name]
        assert right.passed, right.why
        # Far from the bounds of 0.9 and 0.8: what is left is the rounding of pixels.
        assert right.figures["matched"] > 0.97
        assert right.figures["mean_iou"] > 0.99
        assert right.figures["max_score_difference"] < 0.05
        assert right.figures["expected"] > 25
    broken = found["tflite-int8"]
    assert not broken.passed
    assert broken.figures["matched"] < 0.2
    assert broken.figures["best_iou"] < 0.5
    assert "matched" in broken.why
    assert "expected detections found" in broken.why


@pytest.mark.parametrize(
    "one",
    [
        real_models.FASTESTDET,
        real_models.ULTRAFACE,
        real_models.yunet(320, 640),
        real_models.SSD,
        real_models.MOBILENET,
        real_models.SQUEEZENET,
        real_models.VWW,
    ],
    ids=lambda one: one.file,
)
def test_the_device_s_path_agrees_with_the_reference(one: RealModel, test_data: Path, tmp_path: Path) -> None:
    (agreement,) = agreements(tmp_path, test_data, one).values()
    assert agreement.passed, agreement.why
    assert agreement.figures["matched"] > 0.97
