"""The bare belt and the rails beside it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from examples.conveyor.shapes import Field, Rng

Image = npt.NDArray[np.uint8]

PERIOD = 2048  # pixels at 720 lines after which the belt's texture repeats
BELTS = (
    (70, 82, 58),  # green PVC
    (58, 58, 60),  # black rubber
    (104, 100, 96),  # grey fabric
    (110, 84, 58),  # blue food belt
    (150, 152, 150),  # light polyurethane
    (64, 74, 88),  # worn brown
)


def _ring_blur(field: Field, sigma_x: float, sigma_y: float) -> Field:
    """Blur that wraps around along the belt, so that the texture joins its own start."""
    margin = int(4 * sigma_x) + 1
    wide = np.concatenate([field[:, -margin:], field, field[:, :margin]], axis=1)
    out = cv2.GaussianBlur(wide, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT)
    return np.asarray(out[:, margin:-margin], dtype=np.float32)


def _noise(rng: Rng, shape: tuple[int, int], sigma_x: float, sigma_y: float) -> Field:
    field = _ring_blur(rng.standard_normal(shape, dtype=np.float32), sigma_x, sigma_y)
    return np.asarray(field / float(field.std()), dtype=np.float32)


def _seam(value: Field, rng: Rng, scale: float) -> None:
    """Where the belt's ends are joined: a slanted dark line with stitches."""
    height, width = value.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across = np.abs(x - width * 0.5 - (y - height / 2) * np.float32(rng.uniform(-0.4, 0.4)))
    value *= 1 - 0.45 * np.clip(2.5 * scale - across, 0, 1)
    stitched = (np.abs(across - 9 * scale) < 1.6 * scale) & ((y // (8 * scale)) % 2 == 0)
    value[stitched] *= 0.75


def belt_texture(rng: Rng, height: int, scale: float) -> Image:
    """One period of the belt, uint8 [height, PERIOD * scale, 3]; it joins itself left to right."""
    width = round(PERIOD * scale)
    shape = (height, width)
    colour = np.array(BELTS[rng.integers(len(BELTS))], np.float32) * rng.uniform(0.8, 1.25)
    value = np.ones(shape, np.float32)
    value += 0.05 * _noise(rng, shape, 90 * scale, 40 * scale)  # dirt
    value += 0.03 * _noise(rng, shape, 8 * scale, 5 * scale)
    value += rng.uniform(0.02, 0.05) * _noise(rng, shape, 60 * scale, 0.8)  # wear along the run
    value += rng.uniform(0.02, 0.06) * _noise(rng, shape, 0.8, 0.8)  # grain
    # The weave: its period divides the belt's, so that it joins too.
    y, x = np.mgrid[:height, :width].astype(np.float32)
    threads = np.float32(2 * np.pi * round(PERIOD / rng.uniform(5, 9)) / width)
    kind = rng.integers(3)
    weave = np.sin(x * threads) * np.sin(y * threads) if kind == 0 else np.sin((x + y) * threads)
    value += (0.0 if kind == 2 else rng.uniform(0.02, 0.06)) * weave
    for _ in range(int(rng.integers(0, 14))):  # scratches
        at = rng.uniform([0, 0], [width, height])
        to = at + rng.uniform(-1, 1, 2) * np.array([260, 25]) * scale
        line = np.zeros(shape, np.uint8)
        cv2.line(line, tuple(map(int, at)), tuple(map(int, to)), 255, 1, cv2.LINE_AA)
        value += line.astype(np.float32) * np.float32(rng.uniform(-0.1, 0.14) / 255)
    _seam(value, rng, scale)
    return np.asarray(np.clip(value[..., None] * colour, 0, 255), dtype=np.uint8)


def rail(rng: Rng, rows: int, width: int) -> Image:
    """A fixed aluminium profile along the belt, uint8 [rows, width, 3]; its last row is next to the belt."""
    profile = np.full(rows, 1.0, np.float32)
    place = np.linspace(0, 1, rows)
    profile -= 0.5 * (np.abs(place - 0.45) < 0.1)  # the groove
    profile += 0.3 * np.exp(-(((place - 0.75) / 0.06) ** 2))  # the lit edge
    profile[-max(2, rows // 10) :] = 0.35
    streaks = cv2.GaussianBlur(rng.standard_normal((rows, width), dtype=np.float32), (0, 0), 40, sigmaY=0.6)
    value = profile[:, None] * (1 + 0.5 * np.asarray(streaks, dtype=np.float32))
    picture = value[..., None] * np.array((138, 136, 132), np.float32)
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)
