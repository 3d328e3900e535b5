"""``edgeward bundle inspect`` shows everything that a manifest declares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bundle.pack import pack

from .conftest import Outcome

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]

RICH = """\
[bundle]
name = "gate"
version = "1.2.3"
release_counter = 7
labels = ["person"]

[[variant]]
id = "cpu"
engine = "openvino"
file = "model.onnx"
weights = "docs/NOTES.txt"
profiles = ["rk3588"]
dimensions = { height = 320, width = 416 }

[[variant.input]]
name = "images"
dtype = "int8"
shape = ["batch", 3, "height", "width"]
quantisation = { scale = 0.5, zero_point = -128 }

[[variant.input]]
name = "anchors"
dtype = "float32"
shape = [6]
feed = "value"
value = [1, 2, 3, 4, 5, 6]

[[variant.input]]
name = "memory"
dtype = "float32"
shape = [2]
feed = "state"
from_output = "memory_out"
value = [0.5]

[[variant.input]]
name = "size"
dtype = "float32"
shape = [1, 2]
feed = "picture_size"

[[variant.output]]
name = "output"
dtype = "float32"
shape = ["batch", 5, 8]

[[variant.output]]
name = "memory_out"
dtype = "float32"
shape = [2]

[variant.preprocess]
order = "bgr"

[variant.postprocess]
decoder = "yolov8"

[[variant]]
id = "plain"
engine = "onnxruntime"
file = "model.onnx"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 320, 416] }]
output = [{ name = "output", dtype = "float32", shape = [1, 2730, 6] }]

[preprocess]
fit = "crop"
sampling = "area"

[postprocess]
decoder = "yolox"
"""


SIZES = ["height", "320,", "width", "416"]


def test_inspect_shows_everything_that_a_variant_declares(
    author: Path, tmp_path: Path, edgeward: Edgeward
) -> None:
    (author / "bundle.toml").write_text(RICH)
    pack(author, tmp_path / "x.ewb")
    shown = edgeward("bundle", "inspect", tmp_path / "x.ewb").out
    lines = [line[13:] for line in shown.splitlines()]
    start = next(at for at, line in enumerate(lines) if line.startswith("id "))
    assert [line.split() for line in lines[start : start + 3]] == [
        ["id", "engine", "precision", "processor", "profiles", "file", "sizes"],
        ["cpu", "openvino", "float32", "any", "rk3588", *["model.onnx,", "docs/NOTES.txt"], *SIZES],
        ["plain", "onnxruntime", "float32", "any", "model.onnx"],
    ]
    assert lines[start + 3 : start + 14] == [
        "cpu:",
        "  in   images int8 [batch, 3, height, width], scale 0.5, zero point -128",
        "  in   anchors float32 [6], always 1, 2, 3, 4, ...",
        "  in   memory float32 [2], the state from memory_out, at first 0.5",
        "  in   size float32 [1, 2], the picture's size",
        "  out  output float32 [batch, 5, 8]",
        "  out  memory_out float32 [2]",
        "  own preprocess: fit letterbox, sampling bilinear, order bgr, layout nchw, scale 1.0, "
        "mean (0.0, 0.0, 0.0), std (1.0, 1.0, 1.0), pad (114.0, 114.0, 114.0)",
        "  own postprocess: yolov8, score_threshold 0.35, iou_threshold 0.45, class_agnostic False, "
        "max_detections 300, box_units pixels",
        "plain:",
        lines[start + 13],
    ]
    document = json.loads(edgeward("bundle", "inspect", tmp_path / "x.ewb", "--json").out)
    variant = document["manifest"]["variants"][0]
    assert variant["postprocess"]["decoder"] == "yolov8"
    assert variant["dimensions"] == {"height": 320, "width": 416}
    assert variant["inputs"][0]["quantisation"] == {"scale": 0.5, "zero_point": -128}
    assert variant["inputs"][2]["from_output"] == "memory_out"


def test_inspect_shows_files_as_a_tree(author: Path, tmp_path: Path, edgeward: Edgeward) -> None:
    (author / "bundle.toml").write_text(RICH)
    pack(author, tmp_path / "x.ewb")
    shown = edgeward("bundle", "inspect", tmp_path / "x.ewb").out
    lines = [line[13:] for line in shown.splitlines()]
    start = next(at for at, line in enumerate(lines) if line.startswith(("├─ ", "|- ")))
    assert [line.split()[:3] for line in lines[start : start + 3]] == [
        ["├─", "model.onnx", "model"],
        ["└─", "docs/"],
        ["└─", "NOTES.txt", "model"],
    ]
    assert lines[start + 2].startswith("   └─ ")
