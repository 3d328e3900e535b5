"""Light on metal: turns a part's relief into colour, opacity and shadow.

The look of metal is what it mirrors: a bright strip lamp above, a soft window at one side, a dark hall
elsewhere. Each pixel's mirrored direction picks from that; a diffuse share and grain keep it from looking
like chrome.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from examples.conveyor.shapes import Field, Rng, Solid

Colour = tuple[float, float, float]

# Blue, green, red; what each metal makes of white light.
FINISHES: dict[str, Colour] = {
    "steel": (182, 184, 184),
    "zinc": (206, 202, 194),
    "stainless": (214, 216, 219),
    "gunmetal": (134, 124, 118),
    "yellow zinc": (110, 178, 206),
    "brass": (92, 168, 205),
}


@dataclass(frozen=True)
class Light:
    """Where the light comes from, the same for a whole scene."""

    azimuth: float  # radians, in the picture plane
    elevation: float  # radians above the belt
    strip: float  # place of the strip lamp's mirror image, -1..1
    hardness: float  # 0 cloudy .. 1 spotlight

    @classmethod
    def draw(cls, rng: Rng) -> Light:
        """A lamp somewhere above."""
        return cls(
            azimuth=float(rng.uniform(-np.pi, np.pi)),
            elevation=float(rng.uniform(0.7, 1.15)),
            strip=float(rng.uniform(-0.45, 0.45)),
            hardness=float(rng.uniform(0.2, 0.9)),
        )


@dataclass(frozen=True)
class Sprite:
    """A thing that lies on the belt, drawn: colour [h, w, 3] 0..255, the rest [h, w] 0..1."""

    colour: Field
    opacity: Field
    shadow: Field

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The pixels that belong to it rather than to the belt."""
        return np.asarray(self.opacity > 0.5)


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), dtype=np.float32)


def grain(rng: Rng, shape: tuple[int, int], sigma: float) -> Field:
    """Smooth random field of standard deviation 1."""
    field = rng.standard_normal(shape, dtype=np.float32)
    field = blur(field, sigma) if sigma > 0 else field
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def cast_shadow(cover: Field, height: float, light: Light) -> Field:
    """How dark the belt gets around a thing of that height: 0 not, 1 black."""
    reach = height / np.tan(light.elevation)
    move = np.array(
        [[1, 0, -np.cos(light.azimuth) * reach], [0, 1, -np.sin(light.azimuth) * reach]], dtype=np.float32
    )
    moved = np.asarray(cv2.warpAffine(cover, move, (cover.shape[1], cover.shape[0])), dtype=np.float32)
    # One sharp-edged shadow away from the lamp and a wide one where the thing keeps out the hall's light.
    cast = blur(moved, 1.0 + 0.25 * height * (1.2 - light.hardness)) * (0.25 + 0.35 * light.hardness)
    contact = blur(cover, 2.0 + 0.3 * height) * 0.4
    return np.asarray(1 - (1 - cast) * (1 - contact), dtype=np.float32)


def shade(solid: Solid, light: Light, finish: Colour, rng: Rng) -> Sprite:
    """Draw `solid` under `light` in the colour of `finish`."""
    cover = solid.cover
    shape = cover.shape
    relief = solid.height + grain(rng, (shape[0], shape[1]), 0.8) * 0.05
    slope_y, slope_x = np.gradient(blur(relief, 0.7))
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    nx, ny, nz = -slope_x / length, -slope_y / length, 1 / length
    # The camera looks straight down, so the mirrored direction is a function of the normal alone.
    rx, ry, rz = 2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1
    flat = np.cos(light.elevation)
    lx, ly, lz = np.cos(light.azimuth) * flat, np.sin(light.azimuth) * flat, np.sin(light.elevation)
    diffuse = np.clip(nx * lx + ny * ly + nz * lz, 0, 1)
    window = np.clip(rx * lx + ry * ly + rz * lz, 0, 1)
    strip = np.exp(-(((ry - light.strip) / 0.16) ** 2)) * (rz > -0.2)
    mirrored = 0.16 + 0.3 * np.clip(rz, 0, 1) ** 2 + 0.42 * strip + 0.35 * window**3
    # Turning marks run in circles: they glint where the light crosses them.
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    around = np.arctan2(y - shape[0] / 2, x - shape[1] / 2)
    glint = np.cos(around - light.azimuth) ** 8 * solid.turned * (nz > 0.9)
    value = 0.16 + 0.42 * diffuse + 0.6 * mirrored + 0.26 * glint
    value = value * solid.tone * (1 + 0.05 * grain(rng, (shape[0], shape[1]), 0.6))
    spark = 255 * (0.55 * window**24 + 0.25 * strip * (1 - nz)) * light.hardness * np.minimum(solid.tone, 1)
    colour = value[..., None] * np.array(finish, np.float32) + spark[..., None]
    colour = rusted(colour.astype(np.float32), rng)
    shadow = cast_shadow(cover, float(np.percentile(solid.height[cover > 0.5], 60)), light)
    return Sprite(np.clip(colour, 0, 255).astype(np.float32), cover, shadow)


def rusted(colour: Field, rng: Rng) -> Field:
    """Some parts have brown patches."""
    if rng.random() > 0.2:
        return colour
    patches = np.clip(grain(rng, (colour.shape[0], colour.shape[1]), 7.0) - 0.6, 0, 1) * rng.uniform(0.4, 0.9)
    rust = np.array((40, 75, 125), np.float32) * (colour.mean(axis=2, keepdims=True) / 140)
    return np.asarray(colour + patches[..., None] * (rust - colour), dtype=np.float32)
