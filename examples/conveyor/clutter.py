"""Things on the belt that are no parts: oil, paper, tape, shavings. A detector must leave them alone."""

from __future__ import annotations

import cv2
import numpy as np

from examples.conveyor.metal import Light, Sprite, cast_shadow, grain
from examples.conveyor.shapes import Field, Rng

PAPERS = ((225, 232, 235), (190, 215, 228), (215, 225, 215), (140, 165, 190))
TAPES = ((70, 190, 220), (150, 110, 50), (60, 60, 190), (190, 190, 195), (90, 160, 80))


def _polygon(size: int, points: Field) -> Field:
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return np.asarray(canvas / 255, dtype=np.float32)


def _plain(cover: Field, colour: tuple[int, int, int], texture: Field) -> Field:
    return np.asarray((np.array(colour, np.float32) * texture[..., None]) * np.ones_like(cover)[..., None])


def oil(rng: Rng, scale: float) -> Sprite:
    """A dark, soft-edged stain."""
    size = int(rng.uniform(90, 260) * scale)
    y, x = (np.mgrid[:size, :size].astype(np.float32) - size / 2) / (size / 2)
    edge = 0.62 + 0.14 * grain(rng, (size, size), size / 9) - np.hypot(x * rng.uniform(0.9, 1.5), y)
    cover = np.clip(edge * rng.uniform(3, 9), 0, 1) * rng.uniform(0.25, 0.6)
    colour = _plain(cover, (20, 26, 30), np.ones_like(cover))
    return Sprite(colour.astype(np.float32), cover.astype(np.float32), np.zeros_like(cover, dtype=np.float32))


def paper(rng: Rng, scale: float, light: Light) -> Sprite:
    """A torn scrap with creases."""
    size = int(rng.uniform(60, 150) * scale)
    corners = int(rng.integers(4, 8))
    angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * 2 * np.pi / corners
    radii = rng.uniform(0.3, 0.45, corners) * size
    points = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1) + size / 2
    cover = _polygon(size, points.astype(np.float32))
    y, x = np.mgrid[:size, :size].astype(np.float32)
    texture = 1 + 0.02 * grain(rng, (size, size), 1.0)
    for _ in range(int(rng.integers(0, 4))):
        turn, place = rng.uniform(0, np.pi), rng.uniform(0.3, 0.7) * size
        side = x * np.cos(turn) + y * np.sin(turn) - place
        texture = texture * (1 + 0.09 * np.tanh(side / 3) * rng.choice([-1, 1]))
    colour = _plain(cover, PAPERS[rng.integers(len(PAPERS))], (0.8 * texture).astype(np.float32))
    return Sprite(colour.astype(np.float32), cover, cast_shadow(cover, 3 * scale, light) * np.float32(0.7))


def tape(rng: Rng, scale: float, light: Light) -> Sprite:
    """A strip of adhesive tape."""
    size = int(rng.uniform(100, 240) * scale)
    turn, half, wide = rng.uniform(0, np.pi), size * 0.45, rng.uniform(9, 22) * scale
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    corners = [(half, wide), (half, -wide), (-half, -wide), (-half, wide)]
    cover = _polygon(size, np.array([a * along + b * across + size / 2 for a, b in corners], np.float32))
    texture = 0.75 + 0.05 * grain(rng, (size, size), 5.0)
    colour = _plain(cover, TAPES[rng.integers(len(TAPES))], texture)
    opacity = cover * np.float32(rng.uniform(0.6, 1.0))
    return Sprite(
        colour.astype(np.float32), opacity, cast_shadow(cover, 1.5 * scale, light) * np.float32(0.4)
    )


def shaving(rng: Rng, scale: float, light: Light) -> Sprite:
    """A thin bright curl of metal from drilling."""
    size = int(rng.uniform(30, 90) * scale) + 8
    turns = np.linspace(0, rng.uniform(1.5, 9), 60)
    radius = np.linspace(0.1, rng.uniform(0.25, 0.4), 60) * size
    drift = np.linspace(-0.2, 0.2, 60) * size * rng.uniform(0, 1)
    start = rng.uniform(0, 2 * np.pi)
    points = np.stack([np.cos(turns + start) * radius + drift, np.sin(turns + start) * radius], axis=1)
    canvas = np.zeros((size, size), np.uint8)
    line = np.round((points + size / 2) * 16).astype(np.int32)
    cv2.polylines(canvas, [line], False, 255, max(1, round(rng.uniform(1, 2.6) * scale)), cv2.LINE_AA, 4)
    cover = np.asarray(canvas / 255, dtype=np.float32)
    texture = np.asarray(np.clip(0.9 + 0.35 * grain(rng, (size, size), 2.0), 0.3, 1.5), dtype=np.float32)
    colour = np.clip(_plain(cover, (185, 188, 190), texture), 0, 255)
    return Sprite(colour.astype(np.float32), cover, cast_shadow(cover, 2 * scale, light) * np.float32(0.6))


def draw_clutter(rng: Rng, scale: float, light: Light) -> Sprite:
    """Some piece of clutter; `scale` is pixels per pixel at 720 lines."""
    kind = rng.choice(["oil", "paper", "tape", "shaving"], p=[0.3, 0.15, 0.15, 0.4])
    if kind == "oil":
        return oil(rng, scale)
    return {"paper": paper, "tape": tape, "shaving": shaving}[str(kind)](rng, scale, light)
