"""The models of the benchmark as the worker wants them: a bundle folder and its manifest's digest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from bench.pipeline import ROOT, Model
from runtime.bundle.manifest import MANIFEST_NAME

YOLOX = """
[bundle]
name = "yolox-nano"
version = "1.0.0"
release_counter = 1
labels_file = "coco.names"

[[variant]]
id = "onnx-float32"
engine = "onnxruntime"
file = "model.onnx"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 416, 416] }]
output = [{ name = "output", dtype = "float32", shape = [1, 3549, 85] }]

[preprocess]
fit = "letterbox_topleft"
order = "bgr"

[postprocess]
decoder = "yolox"
"""


def test_data() -> Path | None:
    """The folder of real models, if this machine has it."""
    named = os.environ.get("EDGEWARD_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def yolox_nano(data: Path, work: Path) -> Model:
    """yolox_nano, packed and signed into a bundle folder below ``work``."""
    author = work / "author"
    author.mkdir(parents=True)
    (author / "bundle.toml").write_text(YOLOX)
    for name, original in (("model.onnx", "yolox_nano.onnx"), ("coco.names", "coco.names")):
        (author / name).write_bytes((data / "models" / original).read_bytes())
    key, bundle, folder = work / "key", work / "model.ewb", work / "bundle"
    _edgeward("keys", "generate", "--out", str(key))
    _edgeward("bundle", "pack", str(author), "--out", str(bundle))
    _edgeward("bundle", "sign", str(bundle), "--key", f"{key}.key")
    _edgeward("bundle", "unpack", str(bundle), "--key", f"{key}.pub", "--out", str(folder))
    digest = hashlib.sha256((folder / MANIFEST_NAME).read_bytes()).hexdigest()
    return Model(folder, digest, author / "model.onnx", 416)


def _edgeward(*arguments: str) -> None:
    command = [sys.executable, "-m", "agent.cli.main", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
