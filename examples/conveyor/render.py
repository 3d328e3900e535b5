"""A conveyor belt with metal parts on it, filmed from above: frames and what is in them.

    scene = Scene(seed=7)
    image, truths = scene.frame(0)

Everything is a function of the seed and the picture size, frame by frame, in any order. What moves with the
belt is painted once into strips; a frame is a window on them, blurred by the motion and the lens, lit, and
noisy as a camera's picture is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from examples.conveyor.belt import belt_texture, rail
from examples.conveyor.layout import LONGEST, Belt, Part, Placed, stream
from examples.conveyor.metal import Light
from examples.conveyor.shapes import Field, Rng
from examples.conveyor.truth import Truth

Image = npt.NDArray[np.uint8]


class Camera:
    """What the camera and the lamps add, drawn once a scene."""

    def __init__(self, rng: Rng, width: int, height: int) -> None:
        scale = height / 720
        self.speed = rng.uniform(75, 200) * scale  # pixels a second
        self.sway = rng.uniform(0, 0.06), rng.uniform(0.2, 0.7)  # share of the speed, Hz
        self.start = rng.uniform(0, 4000) * scale
        self.exposure = rng.uniform(0.002, 0.02)  # seconds
        self.defocus = max(0.0, rng.uniform(-0.3, 1.1)) * scale  # sigma in pixels
        self.flicker = rng.uniform(0, 0.025), rng.uniform(1, 7)  # share, Hz (the beat of mains and shutter)
        self.drift = rng.uniform(0, 0.08), rng.uniform(0.02, 0.1)
        self.gain = self._gain(rng, width, height)
        # Noise at half the contrast range; frames cut windows out of a larger field.
        sigma = rng.uniform(1.0, 5.0)
        field = rng.standard_normal((height + 64, width + 64, 3), dtype=np.float32) * sigma
        field = field * 0.6 + cv2.blur(field, (2, 2)) * 0.8
        self.noise: Image = np.clip(field + 128, 0, 255).astype(np.uint8)

    @staticmethod
    def _gain(rng: Rng, width: int, height: int) -> Image:
        """Light over the picture: level, slope, vignette and colour; uint8 [H, W, 3], 128 is 1."""
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = x / width - 0.5, y / height - 0.5
        slope = rng.uniform(0, 0.35)
        turn = rng.uniform(0, 2 * np.pi)
        light = rng.uniform(0.85, 1.3) * (1 + slope * (x * np.cos(turn) + y * np.sin(turn)))
        light *= 1 - rng.uniform(0, 0.35) * (x * x + y * y)
        tint = np.array([1, 1, 1]) + np.array([-1, 0, 1]) * rng.uniform(-0.09, 0.09)
        gain = light[..., None] * tint.astype(np.float32) * 128
        return np.asarray(np.clip(gain, 0, 255), dtype=np.uint8)

    def travel(self, seconds: float) -> float:
        """How far the belt has come, in pixels."""
        share, rate = self.sway
        wave = share * np.sin(2 * np.pi * rate * seconds) / (2 * np.pi * rate)
        return float(self.start + self.speed * (seconds + wave))

    def level(self, seconds: float) -> float:
        """Brightness at that time; 1 is the scene's own."""
        flicker = self.flicker[0] * np.sin(2 * np.pi * self.flicker[1] * seconds)
        return float(1 + flicker + self.drift[0] * np.sin(2 * np.pi * self.drift[1] * seconds))


class Scene:
    """An endless film of one belt under one camera.

    Parts move to the right. `frame(i)` gives BGR uint8 [height, width, 3] and the parts in it.
    """

    def __init__(self, seed: int, width: int = 1280, height: int = 720, fps: float = 15.0) -> None:
        self.seed, self.width, self.height, self.fps = seed, width, height, fps
        self.scale = height / 720
        self.camera = Camera(stream(seed, 1), width, height)
        rng = stream(seed, 2)
        self.texture = belt_texture(rng, height, self.scale)
        self.rail_rows = int(rng.choice([0, 1]) * rng.uniform(22, 44) * self.scale)
        self.rails = [rail(rng, self.rail_rows, width) for _ in range(2)] if self.rail_rows else []
        self.belt = Belt(seed, height, self.rail_rows, Light.draw(stream(seed, 3)))
        self._strip = lru_cache(maxsize=24)(self._paint)

    def __iter__(self) -> Iterator[tuple[Image, list[Truth]]]:
        """The frames in order, without end."""
        index = 0
        while True:
            yield self.frame(index)
            index += 1

    def frame(self, index: int) -> tuple[Image, list[Truth]]:
        """Picture and truth of one frame."""
        seconds = index / self.fps
        offset = self.camera.travel(seconds)
        left = -offset  # the belt coordinate at the picture's left edge
        image = self._exposed(left)
        if self.rails:
            image[: self.rail_rows] = self.rails[0]
            image[-self.rail_rows :] = self.rails[1][::-1]
        lit = cv2.multiply(image, self.camera.gain, scale=self.camera.level(seconds) / 128)
        rng = stream(self.seed, 4, index)
        dy, dx = rng.integers(0, 65, 2)
        noise = self.camera.noise[dy : dy + self.height, dx : dx + self.width]
        return np.asarray(cv2.addWeighted(lit, 1, noise, 1, -128), dtype=np.uint8), self._truths(left)

    def _exposed(self, left: float) -> Image:
        """The window at `left`, moved by its fraction of a pixel, blurred by motion and lens."""
        blur_length = max(1.0, self.camera.speed * self.camera.exposure)
        margin = int(blur_length / 2 + 3 * self.camera.defocus) + 2
        whole = int(np.floor(left))
        window = self._window(whole - margin, self.width + 2 * margin)
        # Box of the exposure, sampled finely, around the fractional place, widened by the lens.
        taps = np.arange(-margin, margin + 1)
        place = left - whole
        fine = np.linspace(place - blur_length / 2, place + blur_length / 2, 65)
        weight = np.clip(1 - np.abs(taps[:, None] - fine[None, :]), 0, 1).sum(axis=1)
        if self.camera.defocus > 0.2:
            reach = np.arange(-margin, margin + 1)
            lens = np.exp(-(reach**2) / (2 * self.camera.defocus**2))
            weight = np.convolve(weight, lens, mode="same")
            vertical = lens / lens.sum()
        else:
            vertical = np.ones(1)
        used = weight > 1e-3 * weight.max()
        keep = int(np.abs(taps[used]).max())
        weight = weight[margin - keep : margin + keep + 1]
        vertical = vertical[vertical > 1e-3]
        weight /= weight.sum()
        vertical /= vertical.sum()
        blurred = cv2.sepFilter2D(window, -1, weight, vertical)
        return np.ascontiguousarray(blurred[:, margin : margin + self.width])

    def _window(self, left: int, width: int) -> Image:
        """Painted belt from `left`, uint8 [height, width, 3]."""
        size = self.belt.cell_width
        pieces = []
        at = left
        while at < left + width:
            number, inside = divmod(at, size)
            piece = self._strip(number)[:, inside : inside + left + width - at]
            pieces.append(piece)
            at += piece.shape[1]
        return np.concatenate(pieces, axis=1)

    def _paint(self, number: int) -> Image:
        """One cell's stretch of belt with all that reaches into it."""
        size = self.belt.cell_width
        left = number * size
        columns = np.arange(left, left + size) % self.texture.shape[1]
        canvas = self.texture[:, columns].astype(np.float32)
        cells = [self.belt.cell(near) for near in (number - 1, number, number + 1)]
        for thing in [thing for cell in cells for thing in cell.clutter]:
            _paste(canvas, thing, left)
        for part in [part for cell in cells for part in cell.parts]:
            _paste(canvas, part, left)
        return np.asarray(np.clip(canvas + 0.5, 0, 255), dtype=np.uint8)

    def _truths(self, left: float) -> list[Truth]:
        size = self.belt.cell_width
        reach = LONGEST * self.scale
        first, last = int((left - reach) // size), int((left + self.width + reach) // size)
        truths = []
        for number in range(first, last + 1):
            for part in self.belt.cell(number).parts:
                truth = _seen_in(part, left, self.width, self.height)
                if truth is not None:
                    truths.append(truth)
        return truths


def _paste(canvas: Field, thing: Placed, left: int) -> None:
    """Draw a sprite and its shadow onto a canvas that begins at belt coordinate `left`."""
    height, width = thing.sprite.opacity.shape
    x1, y1 = max(thing.x - left, 0), max(thing.y, 0)
    x2, y2 = min(thing.x - left + width, canvas.shape[1]), min(thing.y + height, canvas.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    rows, columns = slice(y1 - thing.y, y2 - thing.y), slice(x1 + left - thing.x, x2 + left - thing.x)
    area = canvas[y1:y2, x1:x2]
    area *= 1 - thing.sprite.shadow[rows, columns, None]
    opacity = thing.sprite.opacity[rows, columns, None]
    area += opacity * (thing.sprite.colour[rows, columns] - area)


def _seen_in(part: Part, left: float, width: int, height: int) -> Truth | None:
    """The part as the frame whose left edge is at `left` shows it, or None if it isn't in it."""
    x, y = part.x - left, part.y
    columns = np.flatnonzero(part.seen.any(axis=0))
    # A column belongs to the frame if the middle of its pixels does.
    inside = columns[(columns + x + 0.5 > 0) & (columns + x + 0.5 < width)]
    if inside.size == 0:
        return None
    shown = part.seen[:, inside[0] : inside[-1] + 1]
    rows = np.flatnonzero(shown.any(axis=1))
    box = (
        float(max(inside[0] + x, 0)),
        float(max(rows[0] + y, 0)),
        float(min(inside[-1] + 1 + x, width)),
        float(min(rows[-1] + 1 + y, height)),
    )
    return Truth(part.label, box, float(shown.sum() / part.area), part.part_id)
