"""What preflight found, judged by the budgets, ranked, and fit for a person, a script and a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import Candidate, Candidates, Examined, GoldenFigures, LatencyFigures

# Medians that differ by less are the same in practice: then the author's order decides, each time alike.
SAME_SPEED = 1.05
# Of a bundle that has many; the record and the log have them all.
_MOST_REASONS = 8
_REMEDY = "use another bundle, or one with a variant that this device can run"


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a variant is not taken: a stable code, a sentence with the figures, perhaps what to do."""

    code: str
    text: str
    remedy: str = ""


class VariantReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One variant. ``unfit``: this board cannot run it at all, for the reason in ``refusals``.

    Times in milliseconds, memory in MB of 1,000,000 bytes. ``peak_mb`` (VmHWM) is what budgets are held
    against, ``pss_mb`` what the device's limit is. Figures that were not taken are None.
    """

    id: str
    engine: str
    precision: str
    state: Literal["passed", "refused", "unfit"]
    provider: str = ""
    batch: int = 0
    load_ms: float | None = None
    golden: GoldenFigures | None = None
    latency: LatencyFigures | None = None
    peak_mb: float | None = None
    pss_mb: float | None = None
    refusals: tuple[Refusal, ...] = ()
    last_lines: tuple[str, ...] = ()


class Budgets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At most so much: the bundle's own, or the device's where that is less. None: as it comes."""

    latency_p95_ms: float | None = None
    memory_mb: float | None = None
    load_ms: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole bundle. ``chosen`` is the variant to run, empty when none passed.

    ``ranked`` are all that passed, best first; ``checked`` whether answers were compared with the author's.
    """

    name: str
    version: str
    digest: str
    machine: str
    chosen: str
    ranked: tuple[str, ...]
    checked: bool
    budgets: Budgets
    memory_limit_mb: float
    variants: tuple[VariantReport, ...]

    @property
    def follows(self) -> bool:
        """Whether order and verdicts follow from the figures, as in each report that was not edited."""
        order = ranked(self.variants)
        sound = all((variant.state == "passed") == (not variant.refusals) for variant in self.variants)
        right = all(one.golden is None or one.golden.passed for one in self.variants if one.id in order)
        return sound and right and (self.ranked, self.chosen) == (order, order[0] if order else "")

    @property
    def batch(self) -> int:
        """Pictures at a time, at most, with which the answers of the variant to run were looked at."""
        return next((max(1, one.batch) for one in self.variants if one.id == self.chosen), 1)

    def refused(self) -> EdgewardError | None:
        """The error when no variant passed.

        Its code is the one that all refusals have, ``ENGINE_UNAVAILABLE`` when no variant fits the board,
        else ``PREFLIGHT_REFUSED``. Beside a variant that fits, those that do not are not told.
        """
        if self.chosen:
            return None
        tried = tuple(variant for variant in self.variants if variant.state == "refused")
        first = [refusal for variant in tried for refusal in variant.refusals[:1]]
        codes = {refusal.code for refusal in first}
        if not tried:
            code = Code.ENGINE_UNAVAILABLE
        else:
            code = Code.of(codes.pop()) if len(codes) == 1 else Code.PREFLIGHT_REFUSED
        reasons = [
            f"variant {variant.id!r} {'; '.join(refusal.text for refusal in variant.refusals)}"
            for variant in (tried or self.variants)[:_MOST_REASONS]
        ]
        left_out = len(tried or self.variants) - len(reasons)
        if left_out:
            reasons.append(f"{left_out} more variants are refused as well")
        remedies = {refusal.remedy for refusal in first if refusal.remedy}
        remedy = remedies.pop() if len(remedies) == 1 else _REMEDY
        return EdgewardError(code, ". ".join(reasons), where=f"{self.name} {self.version}", remedy=remedy)


def budgets(candidates: Candidates, *, latency_ms: float | None = None) -> Budgets:
    """The bundle's, or the device's ``latency_ms`` where that is less."""
    declared = [each for each in (candidates.latency_p95_ms, latency_ms) if each is not None]
    return Budgets(
        latency_p95_ms=min(declared, default=None),
        memory_mb=candidates.memory_mb,
        load_ms=candidates.load_ms,
    )


def judged(
    candidate: Candidate,
    found: Examined,
    allowed: Budgets,
    *,
    pss_mb: float,
    last_lines: tuple[str, ...] = (),
) -> VariantReport:
    """A variant that was examined to the end. ``pss_mb``: the most that was seen from outside."""
    refusals = tuple(_refusals(found, allowed, pss_mb))
    return VariantReport(
        id=candidate.id,
        engine=candidate.engine,
        precision=candidate.precision,
        state="refused" if refusals else "passed",
        provider=found.provider,
        batch=found.batch,
        load_ms=found.load_ms,
        golden=found.golden,
        latency=found.latency,
        peak_mb=found.peak_mb,
        pss_mb=max(pss_mb, found.pss_mb or 0.0),
        refusals=refusals,
        last_lines=last_lines,
    )


def _refusals(found: Examined, allowed: Budgets, pss_mb: float) -> list[Refusal]:
    refusals = []
    if found.golden is not None and not found.golden.passed:
        text = f"other answers than its author's to {found.golden.frames} golden frames: {found.golden.why}"
        refusals.append(Refusal(Code.PREFLIGHT_GOLDEN.text, text))
    took, most = found.latency, allowed.latency_p95_ms
    if took is not None and most is not None and took.p95_ms > most:
        text = (
            f"takes up to {took.p95_ms:.1f} ms for 95 % of {took.rounds} frames "
            f"(median {took.p50_ms:.1f} ms), over the budget of {most:g} ms"
        )
        refusals.append(Refusal(Code.PREFLIGHT_LATENCY.text, text))
    # The kernel may tell a process nothing of its peak.
    peak_mb = max(found.peak_mb, pss_mb)
    if allowed.memory_mb is not None and peak_mb > allowed.memory_mb:
        text = f"takes up to {peak_mb:.0f} MB of memory, over the budget of {allowed.memory_mb:g} MB"
        refusals.append(Refusal(Code.PREFLIGHT_MEMORY.text, text))
    if allowed.load_ms is not None and found.load_ms > allowed.load_ms:
        text = f"took {found.load_ms:.0f} ms to load, over the budget of {allowed.load_ms:g} ms"
        refusals.append(Refusal(Code.PREFLIGHT_LOAD.text, text))
    return refusals


def bad_luck(found: VariantReport, allowed: Budgets) -> bool:
    """Whether ``found`` may have been refused for what the board did meanwhile.

    A tail of slow frames beside a median within the budget is one of something else that ran; and what is
    loaded for the first time comes from a slow card, or has to be compiled.
    """
    codes = {refusal.code for refusal in found.refusals}
    if found.state != "refused" or codes - {Code.PREFLIGHT_LATENCY.text, Code.PREFLIGHT_LOAD.text}:
        return False
    most = allowed.latency_p95_ms
    return most is None or found.latency is None or found.latency.p50_ms <= most


def ranked(variants: Sequence[VariantReport]) -> tuple[str, ...]:
    """Those that passed, by their median latency; those of about the same speed in the author's order."""
    left = [variant for variant in variants if variant.state == "passed" and variant.latency is not None]
    order = []
    while left:
        fastest = min(_median(variant) for variant in left)
        best = next(variant for variant in left if _median(variant) <= fastest * SAME_SPEED)
        left.remove(best)
        order.append(best.id)
    return tuple(order)


def _median(variant: VariantReport) -> float:
    return variant.latency.p50_ms if variant.latency is not None else float("inf")
