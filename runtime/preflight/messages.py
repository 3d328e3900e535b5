"""What a preflight child tells the agent: the variants there are, how far it is, and the figures of one.

They travel as messages of ``runtime.ipc``, which has the agent's side of the talk: ``Examine``, ``Measure``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MIN_ROUNDS = 30


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """A tagged, immutable message; unknown keys are ignored, so that either side may be newer."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as its manifest has it."""

    id: str
    engine: str
    precision: str


class Candidates(_Message, frozen=True, kw_only=True, tag="candidates"):
    """Preflight child to agent: the variants of a bundle in the author's order, and what holds for them all.

    ``golden`` counts the golden frames; budgets are those of the manifest, None where it has none.
    """

    variants: tuple[Candidate, ...]
    golden: int = 0
    latency_p95_ms: float | None = None
    memory_mb: float | None = None
    load_ms: float | None = None


Step = Literal["load", "golden", "latency"]
STEPS: tuple[Step, ...] = ("load", "golden", "latency")


class Examining(_Message, frozen=True, kw_only=True, tag="examining"):
    """Preflight child to agent: a step has begun, or is so far. The step "latency" waits for ``Measure``."""

    step: Step
    done: int = 0
    total: int = 0


class GoldenFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the answers to the golden frames compare with the author's; ``why`` says it in a sentence."""

    passed: bool
    frames: int
    figures: dict[str, float] = {}
    why: str = ""


class LatencyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of wall time for one frame of ``width`` x ``height`` pixels, from planes to findings.

    ``stages_ms`` is the mean of each stage.
    """

    rounds: int
    width: int
    height: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    stages_ms: dict[str, float]


class Examined(_Message, frozen=True, kw_only=True, tag="examined"):
    """Preflight child to agent, last of all: the figures of a variant.

    ``load_ms`` is from the first byte read to the first answer. ``golden`` is None when the bundle has no
    such frames, ``latency`` when they were answered wrong. ``peak_mb`` is the most memory that was ever
    resident (VmHWM), ``pss_mb`` the proportional set size at the end, None where the kernel does not tell it;
    MB of 1,000,000 bytes.
    """

    variant: str
    engine: str
    provider: str
    load_ms: float
    batch: int
    golden: GoldenFigures | None
    latency: LatencyFigures | None
    peak_mb: float
    pss_mb: float | None
