"""A whole bundle: a child for each variant that is wanted, one after the other, and one report."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from agent.preflight.attendant import COMMAND, Attendant, Attended, Bounds
from agent.preflight.report import Budgets, Refusal, Report, VariantReport, bad_luck, budgets, judged, ranked
from agent.preflight.turns import Turns
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import Candidate, Candidates, Examined, Examining
from runtime.rights import Rights

# What is asked of a variant is not asked of our own child that lists them.
_LIST_S = 60.0
_LIST_MB = 256.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this device asks of a variant.

    Attributes:
        load_s: seconds for a variant to load and to give its first answer.
        deadline_s: seconds for each further step.
        memory_mb: proportional set size past which a variant is ended; 0: three quarters of what is free.
        rounds: frames for the latency, fewer when they take longer than ``measure_s`` seconds.
        measure_s: see ``rounds``; at most half of ``deadline_s``.
        require_golden: refuse a bundle that has no golden frames.
        latency_ms: a budget of the device for the 95 % quantile, beside the bundle's.
    """

    load_s: float = 180.0
    deadline_s: float = 60.0
    memory_mb: float = 0.0
    rounds: int = 100
    measure_s: float = 10.0
    require_golden: bool = False
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Who is told what happens: lines that a child prints, steps of a variant, a child's process id."""

    on_log: Callable[[str], None] = field(default=lambda _: None)
    on_step: Callable[[Candidate, Examining], None] = field(default=lambda _, __: None)
    on_start: Callable[[int], None] = field(default=lambda _: None)


class BundleCheck:
    """Checks a bundle on this device.

    Args:
        bundle: verified and stored.
        engine: how engines run here; its ``variant`` is the only one that is tried, when it names one.
        settings: what is asked.
        max_batch: pictures that a worker would take into one inference, at most.
        turns: shared by all checks of a process.
        command: the child's program.
        witness: is told what happens.
        rights: what the child keeps; ``None``: all.
    """

    def __init__(
        self,
        bundle: Ingested,
        engine: ipc.EngineOptions,
        settings: Settings,
        *,
        max_batch: int = 1,
        turns: Turns | None = None,
        command: Sequence[str] = COMMAND,
        witness: Witness | None = None,
        rights: Rights | None = None,
    ) -> None:
        self._bundle = bundle
        self._settings = settings
        self._turns = turns or Turns()
        self._command = command
        self._witness = witness or Witness()
        self._task = ipc.Examine(
            bundle_dir=bundle.folder,
            manifest_sha256=bundle.manifest_sha256,
            engine=engine,
            max_batch=max_batch,
            rounds=settings.rounds,
            # So that a slow variant has its figures before its time is over.
            measure_s=min(settings.measure_s, settings.deadline_s / 2),
            last_s=settings.deadline_s * 0.75,
            rights=rights,
        )
        self._where = f"{bundle.name} {bundle.version}"
        self._limit_mb = math.inf

    async def run(self, only: Sequence[str] = ()) -> Report:
        """Examine every variant, or those with the ids in ``only``.

        Raises:
            EdgewardError: ``PREFLIGHT_UNCHECKED``; ``ENGINE_UNAVAILABLE`` when there is no such variant;
                ``BUNDLE_*`` when the stored bundle is damaged; ``SYSTEM_*``.
        """
        bounds = Bounds(
            load_s=self._settings.load_s,
            step_s=self._settings.deadline_s,
            memory_mb=self._settings.memory_mb,
        )
        candidates = await self._candidates(bounds)
        if self._settings.require_golden and not candidates.golden:
            what = (
                "the bundle has no golden frames, so that nobody can tell whether its answers are right here"
            )
            remedy = "ask its author to add [golden] to bundle.toml, or do not require them on this device"
            raise EdgewardError(Code.PREFLIGHT_UNCHECKED, what, where=self._where, remedy=remedy)
        allowed = budgets(candidates, latency_ms=self._settings.latency_ms)
        wanted = self._wanted(candidates, only)
        found = [await self._settled(one, bounds, allowed, candidates.golden) for one in wanted]
        order = ranked(found)
        return Report(
            name=self._bundle.name,
            version=self._bundle.version,
            digest=self._bundle.digest,
            machine=platform.machine(),
            chosen=order[0] if order else "",
            ranked=order,
            checked=candidates.golden > 0,
            budgets=allowed,
            memory_limit_mb=round(self._limit_mb),
            variants=tuple(found),
        )

    async def _candidates(self, bounds: Bounds) -> Candidates:
        listing = msgspec.structs.replace(self._task.engine, variant="")
        attended = await self._attend(bounds, listing)
        if isinstance(attended.answer, Candidates):
            return attended.answer
        refusal = attended.refusal or Refusal(Code.PREFLIGHT_MISBEHAVED.text, "its process gave no list")
        what = f"its variants cannot be listed: {refusal.text}"
        raise EdgewardError(Code.of(refusal.code), what, where=self._where, remedy=refusal.remedy)

    def _wanted(self, candidates: Candidates, only: Sequence[str]) -> list[Candidate]:
        forced = self._task.engine.variant
        ids = (forced,) if forced else only
        known = [candidate.id for candidate in candidates.variants]
        for one in ids:
            if one not in known:
                what = f"there is no variant {one!r}, there are {', '.join(known)}"
                remedy = "correct the name of the variant"
                raise EdgewardError(Code.ENGINE_UNAVAILABLE, what, where=self._where, remedy=remedy)
        return [candidate for candidate in candidates.variants if not ids or candidate.id in ids]

    async def _settled(
        self, candidate: Candidate, bounds: Bounds, allowed: Budgets, golden: int
    ) -> VariantReport:
        """The second answer where the first may have been bad luck."""
        found = await self._variant(candidate, bounds, allowed, golden)
        return await self._variant(candidate, bounds, allowed, golden) if bad_luck(found, allowed) else found

    async def _variant(
        self, candidate: Candidate, bounds: Bounds, allowed: Budgets, golden: int
    ) -> VariantReport:
        options = msgspec.structs.replace(self._task.engine, variant=candidate.id)
        attended = await self._attend(bounds, options, candidate)
        self._limit_mb = min(self._limit_mb, attended.limit_mb)
        answer = attended.answer
        # An answer that leaves out what there was to compare is none.
        if isinstance(answer, Examined) and (answer.golden.frames if answer.golden else 0) == golden:
            return judged(candidate, answer, allowed, pss_mb=attended.pss_mb)
        refusal = attended.refusal or Refusal(Code.PREFLIGHT_MISBEHAVED.text, "its process gave no figures")
        unfit = refusal.code == Code.ENGINE_UNAVAILABLE.text
        if unfit:  # the engine's own words begin with what every line here begins with
            text = refusal.text.removeprefix(f"variant {candidate.id!r} ")
            refusal = msgspec.structs.replace(refusal, text=text)
        return VariantReport(
            id=candidate.id,
            engine=candidate.engine,
            precision=candidate.precision,
            state="unfit" if unfit else "refused",
            pss_mb=attended.pss_mb or None,
            refusals=(refusal,),
            last_lines=attended.last_lines,
        )

    async def _attend(
        self, bounds: Bounds, options: ipc.EngineOptions, candidate: Candidate | None = None
    ) -> Attended:
        def step(message: Examining) -> None:
            if candidate is not None:
                self._witness.on_step(candidate, message)

        attendant = Attendant(
            bounds if candidate is not None else replace(bounds, load_s=_LIST_S, memory_mb=_LIST_MB),
            self._turns,
            command=self._command,
            on_log=self._witness.on_log,
            on_step=step,
            on_start=self._witness.on_start,
        )
        return await attendant.examine(msgspec.structs.replace(self._task, engine=options))
