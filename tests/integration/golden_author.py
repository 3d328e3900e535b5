"""An author's folder with pictures, a film and a model, for bundles with golden frames."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest

from runtime.bundle.manifest import Golden, Manifest
from runtime.bundle.pack import pack_bundle
from runtime.engine import Array
from runtime.errors import EdgewardError
from runtime.golden import results, y4m
from runtime.source.frame import Frame
from tests import models

TOML = """\
[bundle]
name = "gate"
version = "1.0.0"
release_counter = 1
labels = ["person"]

[[variant]]
id = "cpu"
engine = "onnxruntime"
file = "model.onnx"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 32, 32] }]
output = [{ name = "output", dtype = "float32", shape = [1, 5, 6] }]

[preprocess]
fit = "stretch"

[postprocess]
decoder = "yolov10"

[golden]
"""
SEEN = np.array([[[8, 8, 24, 24, 0.9, 0], *[[0] * 6] * 4]], np.float32)


def picture(height: int, width: int) -> Array:
    """Bright and dark blocks with colours, so that planes and sides cannot be mixed up unseen."""
    y, x = np.mgrid[:height, :width]
    blue, green, red = (x * 255 // width, y * 255 // height, (x // 8 + y // 8) % 2 * 200)
    return np.dstack([blue, green, red]).astype(np.uint8)


def write_film(path: Path, frames: int, height: int = 48, width: int = 64) -> None:
    """Frame ``n`` is evenly of luma ``20 + 5 n``."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("ffv1", rate=10)
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            made = np.full((height * 3 // 2, width), 128, np.uint8)
            made[:height] = 20 + 5 * number
            frame = av.VideoFrame.from_ndarray(made, format="yuv420p")
            for packet in track.encode(frame):
                container.mux(packet)
        for packet in track.encode():
            container.mux(packet)


def make_author(folder: Path) -> Path:
    """Pictures of three kinds, a film, and a model that always sees the same box."""
    (folder / "pictures").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(models.constant({"output": SEEN}))
    cv2.imwrite(str(folder / "pictures" / "b.png"), picture(48, 64))
    cv2.imwrite(str(folder / "pictures" / "a.jpg"), picture(48, 64))
    cv2.imwrite(str(folder / "pictures" / "c.bmp"), picture(35, 51))
    write_film(folder / "film.mkv", 12)
    return folder


def write(folder: Path, golden: str, toml: str = TOML) -> None:
    (folder / "bundle.toml").write_text(toml + golden)


class Made(NamedTuple):
    manifest: Manifest
    golden: Golden
    frames: list[Frame]
    results: results.GoldenResults
    bundle: Path


def packed(folder: Path, golden: str, toml: str = TOML) -> Made:
    """Packed, and its golden files read from the bundle by the system's own tar."""
    write(folder, golden, toml)
    bundle = folder.parent / "x.ewb"
    manifest = pack_bundle(folder, bundle).manifest
    out = folder.parent / "out"
    out.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", bundle, "-C", out], check=True)
    declared = manifest.golden
    assert declared is not None
    frames = y4m.golden_frames(declared.frames, lambda name: (out / name).open("rb"), count=declared.count)
    read = results.parse((out / declared.results).read_bytes(), where="results", count=declared.count)
    return Made(manifest, declared, list(frames), read, bundle)


def refused(folder: Path, golden: str, toml: str = TOML) -> EdgewardError:
    write(folder, golden, toml)
    with pytest.raises(EdgewardError) as error:
        pack_bundle(folder, folder.parent / "x.ewb")
    assert not (folder.parent / "x.ewb").exists()
    return error.value
