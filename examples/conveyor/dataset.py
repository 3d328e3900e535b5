"""Training pictures: rendered frames at the model's input size, as a video camera would deliver them.

A frame is rendered at 720 lines, loses what video coding loses (colour at half resolution, blocks), and is
scaled into the model's input as the runtime does it. Belts are filled more densely than in the demo: more
parts a picture teach more.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from examples.conveyor.layout import stream
from examples.conveyor.render import Scene
from examples.conveyor.shapes import Rng
from examples.conveyor.truth import LABELS, MIN_VISIBLE, Truth

Image = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]

INPUT = (384, 224)  # width, height
PAD = 114
TRAINING_SEEDS = range(1000, 1150)
FRAMES_A_SEED = 36


@dataclass
class Dataset:
    """Pictures uint8 [n, 224, 384, 3] RGB, and for each the rows x1, y1, x2, y2, label in its pixels.

    Label -1 marks a part that is less than half in the picture: neither to be found nor to be left out.
    """

    images: Image
    rows: list[Rows]


def letterbox(image: Image, interpolation: int = cv2.INTER_LINEAR) -> tuple[Image, float, tuple[int, int]]:
    """Scale BGR [H, W, 3] into the middle of an RGB input; returns it, the scale and the offset (x, y)."""
    height, width = image.shape[:2]
    scale = min(INPUT[0] / width, INPUT[1] / height)
    size = round(width * scale), round(height * scale)
    x, y = (INPUT[0] - size[0]) // 2, (INPUT[1] - size[1]) // 2
    out = np.full((INPUT[1], INPUT[0], 3), PAD, np.uint8)
    small = cv2.resize(image, size, interpolation=interpolation)
    out[y : y + size[1], x : x + size[0]] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    return out, scale, (x, y)


def as_video(image: Image, rng: Rng) -> Image:
    """What is left of a picture after video coding, about: half the colour resolution and JPEG's blocks."""
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    image = np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), dtype=np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(25, 92))
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return image


def rows_of(truths: list[Truth], scale: float, offset: tuple[int, int]) -> Rows:
    """Truth in the model's pixels, [n, 5]."""
    rows = np.zeros((len(truths), 5), np.float32)
    for row, truth in zip(rows, truths, strict=True):
        row[:4] = np.array(truth.box) * scale + np.array([*offset, *offset])
        row[4] = LABELS.index(truth.label) if truth.visible >= MIN_VISIBLE else -1
    return rows


def _render(seed: int) -> tuple[Image, list[Rows]]:
    cv2.setNumThreads(1)
    scene = Scene(seed)
    rng = stream(seed, 100)
    scene.belt.crowd = rng.uniform(3, 8)
    # Every frame shows mostly other parts than the one before.
    stride = max(1, round(700 / scene.camera.speed * scene.fps))
    images, rows = [], []
    for index in range(FRAMES_A_SEED):
        image, truths = scene.frame(index * stride)
        filtered = cv2.INTER_AREA if rng.random() < 0.2 else cv2.INTER_LINEAR
        small, scale, offset = letterbox(as_video(image, rng), filtered)
        images.append(small)
        rows.append(rows_of(truths, scale, offset))
    return np.stack(images), rows


def training_set(cache: Path | None, processes: int = 2) -> Dataset:
    """Render the training set, or read it from `cache` (an .npz) if it is there."""
    if cache is not None and cache.exists():
        with np.load(cache) as stored:
            splits = np.cumsum(stored["counts"])[:-1]
            return Dataset(stored["images"], np.split(stored["rows"], splits))
    images: list[Image] = []
    rows: list[Rows] = []
    with get_context("spawn").Pool(processes) as pool:
        for done, (pictures, found) in enumerate(pool.imap(_render, TRAINING_SEEDS), start=1):
            images.append(pictures)
            rows += found
            if done % 10 == 0:
                print(f"rendered {done} of {len(TRAINING_SEEDS)} scenes", flush=True)
    dataset = Dataset(np.concatenate(images), rows)
    if cache is not None:
        counts = np.array([len(found) for found in rows])
        np.savez(cache, images=dataset.images, rows=np.concatenate(rows), counts=counts)
    return dataset
