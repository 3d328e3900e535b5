"""The models of the benchmark as the worker wants them: a bundle folder and its manifest's digest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle.manifest import MANIFEST_NAME

ROOT = Path(__file__).resolve().parent.parent

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

FASTESTDET = """
[bundle]
name = "fastestdet"
version = "1.0.0"
release_counter = 1
labels_file = "coco.names"

[[variant]]
id = "onnx-float32"
engine = "onnxruntime"
file = "model.onnx"
input = [{ name = "input.1", dtype = "float32", shape = [1, 3, 352, 352] }]
output = [{ name = "758", dtype = "float32", shape = [1, 85, 22, 22] }]

[preprocess]
fit = "stretch"
order = "bgr"
scale = 0.00392156862745098

[postprocess]
decoder = "fastestdet"
"""

# Name, the author's manifest, the file among the real models.
MODELS = {
    "yolox_nano": (YOLOX, "yolox_nano.onnx"),
    "fastestdet": (FASTESTDET, "FastestDet.onnx"),
}


@dataclass(frozen=True)
class Model:
    """A verified bundle folder, and the bare model file for those that know no bundles."""

    name: str
    folder: Path
    manifest_sha256: str
    file: Path


def test_data() -> Path | None:
    """The folder of real models, if this machine has it."""
    named = os.environ.get("EDGEWARD_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def bundle(name: str, data: Path, work: Path) -> Model:
    """One of ``MODELS``, packed, signed and verified into a bundle folder below ``work``."""
    manifest, file = MODELS[name]
    author = work / "author"
    author.mkdir(parents=True)
    (author / "bundle.toml").write_text(manifest)
    for target, original in (("model.onnx", file), ("coco.names", "coco.names")):
        (author / target).write_bytes((data / "models" / original).read_bytes())
    key, packed, folder = work / "key", work / "model.ewb", work / "bundle"
    _edgeward("keys", "generate", "--out", str(key))
    _edgeward("bundle", "pack", str(author), "--out", str(packed))
    _edgeward("bundle", "sign", str(packed), "--key", f"{key}.key")
    _edgeward("bundle", "unpack", str(packed), "--key", f"{key}.pub", "--out", str(folder))
    digest = hashlib.sha256((folder / MANIFEST_NAME).read_bytes()).hexdigest()
    return Model(name, folder, digest, author / "model.onnx")


def _edgeward(*arguments: str) -> None:
    command = [sys.executable, "-m", "agent.cli.main", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"edgeward {' '.join(arguments)}: {done.stderr}")
