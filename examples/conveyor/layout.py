"""Where the parts lie: an endless belt, cut into cells that can be made in any order.

Belt coordinates are pixels; x along the run (any integer, also negative), y across. A cell's content is a
function of the scene's seed and the cell's number, so that any frame can be rendered without those before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from examples.conveyor import shapes
from examples.conveyor.clutter import draw_clutter
from examples.conveyor.metal import FINISHES, Light, Sprite, shade
from examples.conveyor.shapes import Rng
from examples.conveyor.truth import LABELS

CELL = 640  # pixels at 720 lines
LONGEST = 172  # pixels at 720 lines: no part is longer


def stream(seed: int, purpose: int, number: int = 0) -> Rng:
    """Random numbers for one purpose in one scene, independent of all others."""
    return np.random.default_rng([seed, purpose, 2 * number if number >= 0 else -2 * number - 1])


@dataclass(frozen=True)
class Placed:
    """A sprite with its upper left corner on the belt."""

    sprite: Sprite
    x: int
    y: int


@dataclass(frozen=True)
class Part(Placed):
    """A part on the belt; `seen` [h, w] is its mask without what another part covers."""

    label: str
    part_id: int
    seen: npt.NDArray[np.bool_]
    area: int  # pixels of the whole part
    radius: float  # of the circle around it


@dataclass(frozen=True)
class Cell:
    """What lies on one stretch of the belt, in drawing order: clutter first."""

    clutter: list[Placed]
    parts: list[Part]


def draw_part(label: str, rng: Rng, scale: float, light: Light) -> Sprite:
    """A part of that kind at a random angle; the sprite is square, with room for the shadow."""
    side = 2 * round(LONGEST * 0.66 * scale)
    y, x = (np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2) / scale
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = x * cos + y * sin, y * cos - x * sin
    length = rng.uniform(85, 170)
    damaged = label == "damaged"
    solid = shapes.damaged(u, v, length, rng) if damaged else shapes.intact(label, u, v, length, rng)
    finish = np.array(FINISHES[str(rng.choice(list(FINISHES)))]) * rng.uniform(0.85, 1.1)
    return shade(solid.scaled(scale), light, (finish[0], finish[1], finish[2]), rng)


class Belt:
    """The things on an endless belt `height` pixels wide, of which rails cover `rail` at each side."""

    def __init__(self, seed: int, height: int, rail: int, light: Light) -> None:
        self.seed = seed
        self.scale = height / 720
        self.height = height
        self.rail = rail
        self.light = light
        self.cell_width = round(CELL * self.scale)
        self.crowd = float(stream(seed, 10).uniform(2.0, 4.6))  # parts a cell
        self.mess = float(stream(seed, 11).uniform(0.3, 3.0))  # pieces of clutter a cell
        self.cell = lru_cache(maxsize=64)(self._cell)

    def _cell(self, number: int) -> Cell:
        rng = stream(self.seed, 20, number)
        left = number * self.cell_width
        clutter = []
        for _ in range(rng.poisson(self.mess)):
            sprite = draw_clutter(rng, self.scale, self.light)
            clutter.append(
                self._at(sprite, left + rng.uniform(0, self.cell_width), rng.uniform(0, self.height))
            )
        # Odd cells make room for what lies in the even cells beside them.
        taken = (
            [part for beside in (number - 1, number + 1) for part in self.cell(beside).parts]
            if number % 2
            else []
        )
        parts: list[Part] = []
        for _ in range(max(1, rng.poisson(self.crowd))):
            parts += self._place(rng, left, taken + parts, part_id=16 * number + len(parts))
        return Cell(clutter, parts[:16])

    def _at(self, sprite: Sprite, x: float, y: float) -> Placed:
        height, width = sprite.opacity.shape
        return Placed(sprite, round(x - width / 2), round(y - height / 2))

    def _place(self, rng: Rng, left: int, taken: list[Part], part_id: int) -> list[Part]:
        """One more part where there is room, at times with a second one leaning on it."""
        part = self._new(rng, part_id)
        leans = part.label != "damaged"  # else the damage might be what is covered
        reach = part.radius + self.rail + 2
        for _ in range(12):
            x = left + rng.uniform(0, self.cell_width)
            y = rng.uniform(reach, self.height - reach)
            if all(np.hypot(x - cx, y - cy) > part.radius + r for cx, cy, r in map(_circle, taken)):
                part = _moved(part, x, y)
                on_top = self._lean(rng, part, taken) if leans and rng.random() < 0.04 else None
                return [part] if on_top is None else [_covered(part, on_top), on_top]
        return []

    def _lean(self, rng: Rng, part: Part, taken: list[Part]) -> Part | None:
        """A part that covers 2 to 12 % of `part`, if there is room for it."""
        other = self._new(rng, part.part_id + 1)
        x, y, radius = _circle(part)
        turn = rng.uniform(0, 2 * np.pi)
        for distance in np.arange(radius + other.radius, 0, -3 * self.scale):
            cx, cy = x + np.cos(turn) * distance, y + np.sin(turn) * distance
            on_top = _moved(other, cx, cy)
            share = 1 - _covered(part, on_top).seen.sum() / part.area
            if share > 0.12:
                return None
            if share >= 0.02:
                reach = other.radius + self.rail + 2
                fits = reach < cy < self.height - reach and all(
                    np.hypot(cx - ax, cy - ay) > other.radius + r for ax, ay, r in map(_circle, taken)
                )
                return on_top if fits else None
        return None

    def _new(self, rng: Rng, part_id: int) -> Part:
        label = LABELS[rng.integers(len(LABELS))]
        sprite = draw_part(label, rng, self.scale, self.light)
        mask = sprite.mask
        rows, columns = np.nonzero(mask)
        middle = (mask.shape[0] - 1) / 2
        radius = float(np.hypot(rows - middle, columns - middle).max()) + 1
        return Part(sprite, 0, 0, label, part_id, mask, int(mask.sum()), radius)


def _circle(part: Part) -> tuple[float, float, float]:
    return part.x + part.seen.shape[1] / 2, part.y + part.seen.shape[0] / 2, part.radius


def _moved(part: Part, x: float, y: float) -> Part:
    height, width = part.seen.shape
    corner = round(x - width / 2), round(y - height / 2)
    return Part(part.sprite, *corner, part.label, part.part_id, part.seen, part.area, part.radius)


def _covered(part: Part, on_top: Part) -> Part:
    """`part` with the pixels under `on_top` taken out of what is seen of it."""
    seen = part.seen.copy()
    size_y, size_x = seen.shape
    dx, dy = on_top.x - part.x, on_top.y - part.y
    height, width = on_top.seen.shape
    x1, y1, x2, y2 = max(dx, 0), max(dy, 0), min(dx + width, size_x), min(dy + height, size_y)
    if x1 < x2 and y1 < y2:
        seen[y1:y2, x1:x2] &= ~on_top.sprite.mask[y1 - dy : y2 - dy, x1 - dx : x2 - dx]
    return Part(part.sprite, part.x, part.y, part.label, part.part_id, seen, part.area, part.radius)
