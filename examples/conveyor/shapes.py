"""The solids on the belt, seen from above: bolts, nuts, washers and what breakage makes of them.

A shape is evaluated on a grid of pixel positions (u along the part, v across, both [h, w] in pixels, the
part's middle at 0) and gives a `Solid`: how much of each pixel it covers, how high it stands there, and how
its surface differs from plain metal. Outlines are signed distances, so that edges come out anti-aliased
and a part can be cut by combining distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Rng = np.random.Generator


@dataclass
class Solid:
    """A part as a relief, all fields [h, w].

    Attributes:
        distance: to the outline in pixels, negative inside.
        height: above the belt, in pixels.
        tone: factor on the metal's colour (cracks are dark, fresh fractures bright).
        turned: 0..1 how strongly the face shows the rings that a lathe leaves.
    """

    distance: Field
    height: Field
    tone: Field
    turned: Field

    @property
    def cover(self) -> Field:
        """How much of each pixel the part covers: 0 outside .. 1 inside, between at the edge."""
        return np.clip(0.5 - self.distance, 0, 1).astype(np.float32)

    def scaled(self, scale: float) -> Solid:
        """The same part where the picture has `scale` times the pixels."""
        if scale == 1:
            return self
        factor = np.float32(scale)
        return Solid(self.distance * factor, self.height * factor, self.tone, self.turned)


def _jagged(rng: Rng, along: Field, size: float) -> Field:
    """A torn edge: random offset of about +-`size` pixels as a function of the place `along` the edge."""
    waves = np.zeros_like(along)
    for period, weight in ((23.0, 0.5), (11.0, 0.35), (5.0, 0.25)):
        phase = float(rng.uniform(0, 2 * np.pi))
        waves += weight * np.abs(np.sin(along * np.float32(np.pi / period) + phase)) * 2 - weight
    return (waves * size).astype(np.float32)


def _solid(distance: Field, height: Field, tone: Field | None = None, turned: float = 0.0) -> Solid:
    tone = np.ones_like(distance) if tone is None else tone
    return Solid(distance, np.maximum(height, 0), tone, np.full_like(distance, turned))


def _torn(gap: Field, tone: Field) -> Field:
    """Brighten the metal within 4 pixels of a torn edge (`gap` = distance to it): fresh, rough metal."""
    return np.where(gap < 4, tone * 1.35, tone).astype(np.float32)


@dataclass(frozen=True)
class BoltSize:
    """A bolt's measures in pixels."""

    length: float
    shank_radius: float
    head_radius: float
    head_length: float
    pitch: float
    smooth: float  # part of the shank without thread, 0..1
    hexagonal: bool

    @classmethod
    def draw(cls, rng: Rng, length: float) -> BoltSize:
        """A bolt of that length with plausible proportions."""
        shank = length * rng.uniform(0.075, 0.1)
        return cls(
            length=length,
            shank_radius=shank,
            head_radius=shank * rng.uniform(1.75, 2.05),
            head_length=shank * rng.uniform(1.3, 1.8),
            pitch=max(4.0, shank * rng.uniform(0.45, 0.6)),
            smooth=float(rng.choice([0.0, 0.0, 0.25, 0.4])),
            hexagonal=bool(rng.random() < 0.65),
        )


def bolt(u: Field, v: Field, size: BoltSize, end: Field | float | None = None) -> Solid:
    """A bolt lying on its side, head at negative u; `end` is where the shank stops (default: its length)."""
    head_end = -size.length / 2 + size.head_length
    tip = size.length / 2
    stop = tip if end is None else end
    whole = end is None
    # The thread: slanted ridges, which also notch the outline.
    threaded = u > head_end + size.smooth * (tip - head_end)
    ridge = np.sin(u * np.float32(2 * np.pi / size.pitch) + v * np.float32(0.35 * 2 * np.pi / size.pitch))
    ridge = np.where(threaded, ridge, 0.8).astype(np.float32)
    radius = size.shank_radius + ridge * 0.09 * size.shank_radius
    if whole:  # the chamfer at the tip
        radius = np.minimum(radius, size.shank_radius * 0.6 + np.maximum(tip - u, 0))
    shank = np.maximum(np.abs(v) - radius, np.maximum(u - stop, head_end - 1 - u))
    shank_height = size.head_radius - size.shank_radius + np.sqrt(np.maximum(radius**2 - v**2, 0))
    tone = np.where(threaded, 0.86 + 0.14 * ridge, 1.0).astype(np.float32)
    # The head: a hexagon's three upper faces, or a knurled cylinder.
    middle = -size.length / 2 + size.head_length / 2
    bevel = np.maximum(-size.length / 2 + 0.35 * size.head_length - u, 0) * 0.35
    wide = size.head_radius - bevel
    head = np.maximum(np.abs(u - middle) - size.head_length / 2, np.abs(v) - wide)
    if size.hexagonal:
        head_height = np.minimum(0.866 * size.head_radius, (wide - np.abs(v)) * 1.732)
    else:
        head_height = np.sqrt(np.maximum(wide**2 - v**2, 0))
        knurl = 1 + 0.1 * np.sign(np.sin(np.arcsin(np.clip(v / size.head_radius, -1, 1)) * 22))
        tone = np.where(head < shank, knurl, tone).astype(np.float32)
    in_head = head < np.minimum(shank, 0.5)
    height = np.where(in_head, head_height + 0.13 * size.head_radius, shank_height)
    if not whole:
        tone = np.where(in_head, tone, _torn(stop - u, tone))
    return _solid(np.minimum(head, shank), height.astype(np.float32), tone.astype(np.float32))


def bent_bolt(u: Field, v: Field, size: BoltSize, at: float, angle: float) -> Solid:
    """A bolt whose shank turns by `angle` (radians) at `at` (0..1 of its length), in a tight arc."""
    start = (at - 0.5) * size.length
    radius = 2.6 * size.shank_radius
    # Each pixel is carried back to where it would lie on the straight bolt.
    x, y = u - start, v - radius
    turn = np.arctan2(x, -y)
    on_arc = (x > 0) & (turn >= 0) & (turn <= angle)
    arc_u = start + radius * turn
    arc_v = radius - np.hypot(x, y)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    after_u = start + radius * angle + (x * cos + y * sin)
    after_v = -x * sin + y * cos + radius
    after = (x * cos + y * sin > 0) & ((x > 0) | (turn > angle)) & (turn > angle)
    straight_u = np.where(on_arc, arc_u, np.where(after, after_u, u)).astype(np.float32)
    straight_v = np.where(on_arc, arc_v, np.where(after, after_v, v)).astype(np.float32)
    return bolt(straight_u, straight_v, size)


def broken_bolt(u: Field, v: Field, size: BoltSize, left: float, rng: Rng) -> Solid:
    """The head's half of a bolt that broke at `left` (0..1 of its length): slanted, torn end."""
    slant = rng.uniform(-0.5, 0.5)
    end = (left - 0.5) * size.length + v * slant + _jagged(rng, v, 3.0)
    return bolt(u, v, size, end=end.astype(np.float32))


def _sector_gap(u: Field, v: Field, middle: float, half: float, rng: Rng) -> Field:
    """Signed distance (pixels) to a missing sector with torn sides: negative inside the gap."""
    radius = np.hypot(u, v)
    angle = np.abs((np.arctan2(v, u) - middle + np.pi) % (2 * np.pi) - np.pi)
    return ((angle - half) * radius + _jagged(rng, radius, 2.5)).astype(np.float32)


def _round_gap(u: Field, v: Field, at: tuple[float, float], radius: float, rng: Rng) -> Field:
    """Signed distance to a torn bite: negative inside it."""
    x, y = u - at[0], v - at[1]
    around = np.arctan2(y, x).astype(np.float32) * radius
    return (np.hypot(x, y) - radius + _jagged(rng, around, 2.0)).astype(np.float32)


def washer(u: Field, v: Field, outer: float, hole: float, gap: Field | None = None) -> Solid:
    """A flat ring with the outer and inner radius given; `gap` cuts a piece out."""
    radius = np.hypot(u, v)
    distance = np.maximum(radius - outer, hole - radius)
    # Stamped edges are slightly round.
    height = 0.11 * outer + np.minimum(-distance * 0.8, 2.0)
    tone = np.ones_like(distance)
    if gap is not None:
        distance = np.maximum(distance, -gap)
        tone = _torn(gap, tone)
    return _solid(distance, height.astype(np.float32), tone, turned=1.0)


def nut(u: Field, v: Field, flat: float, hole: float, gap: Field | None = None) -> Solid:
    """A hexagon (`flat` = middle to side) with a threaded hole; `gap` cuts a piece out."""
    radius = np.hypot(u, v)
    sides = [np.abs(u * np.cos(turn) + v * np.sin(turn)) for turn in (0.0, np.pi / 3, 2 * np.pi / 3)]
    hexagon = np.maximum(np.maximum(sides[0], sides[1]), sides[2]) - flat
    distance = np.maximum(hexagon, hole - radius)
    # The chamfers: corners turned off outside, the countersink inside.
    outside = np.maximum(radius - 0.97 * flat, 0) * 0.75
    inside = np.maximum(1.2 * hole - radius, 0) * 0.9
    height = 0.75 * flat - outside - inside - np.maximum(distance + 2, 0)
    tone = np.where(radius < 1.2 * hole, 0.72 + 0.2 * np.sin(radius * 2.2), 1.0).astype(np.float32)
    if gap is not None:
        distance = np.maximum(distance, -gap)
        tone = _torn(gap, tone)
    return _solid(distance.astype(np.float32), height.astype(np.float32), tone, turned=0.6)


def cracked(solid: Solid, u: Field, v: Field, angle: float, rng: Rng) -> Solid:
    """Add a dark crack that runs outwards at `angle`."""
    along = (u * np.cos(angle) + v * np.sin(angle)).astype(np.float32)
    across = (-u * np.sin(angle) + v * np.cos(angle)).astype(np.float32) + _jagged(rng, along, 2.5)
    line = np.clip(2.3 - np.abs(across), 0, 1) * (along > 0)
    solid.tone = (solid.tone * (1 - 0.85 * line)).astype(np.float32)
    return solid


def damaged(u: Field, v: Field, length: float, rng: Rng) -> Solid:
    """One of the damaged parts, of about `length` pixels when it was whole.

    Damage is large by construction (a quarter of the part or more), so that it is still some 8 pixels wide
    when a 1280 pixel wide picture is scaled down to 384.
    """
    kind = rng.choice(["bent", "broken", "nut", "washer"], p=[0.25, 0.25, 0.25, 0.25])
    side = float(rng.uniform(-np.pi, np.pi))
    if kind == "bent":
        size = BoltSize.draw(rng, max(length, 125.0))
        return bent_bolt(u, v, size, at=rng.uniform(0.44, 0.56), angle=rng.uniform(0.95, 1.5))
    if kind == "broken":
        size = BoltSize.draw(rng, max(length, 150.0))
        return broken_bolt(u, v, size, left=rng.uniform(0.46, 0.54), rng=rng)
    radius = float(np.clip(length * 0.4, 40, 58))
    if kind == "nut":
        gap = _sector_gap(u, v, side, rng.uniform(0.55, 0.9), rng)
        solid = nut(u, v, radius * 0.9, radius * rng.uniform(0.42, 0.5), gap)
        return cracked(solid, u, v, side + np.pi + rng.uniform(-0.6, 0.6), rng)
    if rng.random() < 0.5:
        gap = _sector_gap(u, v, side, rng.uniform(0.5, 0.9), rng)
    else:
        at = (radius * 0.95 * np.cos(side), radius * 0.95 * np.sin(side))
        gap = _round_gap(u, v, at, radius * rng.uniform(0.48, 0.65), rng)
    return washer(u, v, radius, radius * rng.uniform(0.42, 0.58), gap)


def intact(label: str, u: Field, v: Field, length: float, rng: Rng) -> Solid:
    """A whole bolt, nut or washer; bolts take `length`, the others a size that goes with it."""
    if label == "bolt":
        return bolt(u, v, BoltSize.draw(rng, max(length, 105.0)))
    radius = float(np.clip(length * 0.4, 36, 58))
    if label == "nut":
        return nut(u, v, radius * 0.9, radius * rng.uniform(0.42, 0.52))
    return washer(u, v, radius, radius * rng.uniform(0.38, 0.6))
