"""The gate that every bundle of the agent passes before a worker loads it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from agent.config import Preflight
from agent.preflight.attendant import COMMAND
from agent.preflight.check import BundleCheck, Settings, Witness
from agent.preflight.record import Record, Records, key_of
from agent.preflight.report import Report
from agent.preflight.turns import Turns
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code
from runtime.rights import Rights

log = logging.getLogger("preflight")

# So long a refusal stands, unless the bundle, the configuration or what is installed changes.
REFUSAL_STANDS_S = 900.0
# One for want of time or memory stands for less at first: what was busy or hot then may not be now.
_FIRST_STANDS_S = 60.0
_PASSING = {
    Code.PREFLIGHT_LATENCY.text,
    Code.PREFLIGHT_LOAD.text,
    Code.PREFLIGHT_MEMORY.text,
    Code.PREFLIGHT_TIMEOUT.text,
}

_MENDABLE = {Code.BUNDLE_DIGEST.text, Code.BUNDLE_UNREADABLE.text, Code.SYSTEM_IO.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One bundle of a pipeline and how it is to run.

    Attributes:
        label: for the log: pipeline, or pipeline/stage.
        bundle: verified and stored.
        engine: how engines run it; a variant that is named there is the only one that is tried.
        load_s: seconds that it may take to load.
        max_batch: pictures that its worker would take into one inference, at most.
        rights: what the child that tries it keeps; ``None``: all.
    """

    label: str
    bundle: Ingested
    engine: ipc.EngineOptions
    load_s: float
    max_batch: int = 1
    rights: Rights | None = None


class Passed(NamedTuple):
    """What may run: a variant, empty for the first that fits; at most so many pictures in one inference."""

    variant: str
    batch: int


class Gate:
    """Lets through what has passed preflight on this device, and remembers it.

    Args:
        folder: where records are kept.
        config: what is asked.
        command: the child's program.
        refusal_stands_s: seconds before a refused bundle is tried again, at most.
    """

    def __init__(
        self,
        folder: Path,
        config: Preflight,
        *,
        command: Sequence[str] = COMMAND,
        refusal_stands_s: float = REFUSAL_STANDS_S,
    ) -> None:
        self._records = Records(folder)
        self._config = config
        self._command = command
        self._refusal_stands_s = refusal_stands_s
        self._turns = Turns()
        self._known: dict[tuple[str, str], Record] = {}
        self._asking: dict[tuple[str, str], asyncio.Lock] = {}

    async def passed(
        self,
        asked: Asked,
        *,
        on_log: Callable[[str], None] = lambda _: None,
        on_start: Callable[[int], None] = lambda _: None,
    ) -> Passed:
        """What to run: the fastest that passed, or as configured when preflight is switched off.

        Args:
            asked: the bundle, and how it is to run.
            on_log: gets the lines that children print.
            on_start: is told the process id of each child; not called when the answer is known.

        Raises:
            EdgewardError: ``PREFLIGHT_*`` or the code that all variants were refused with, with figures.
        """
        if not self._config.enabled:
            return Passed(asked.engine.variant, asked.max_batch)
        settings = Settings(
            load_s=asked.load_s,
            deadline_s=self._config.deadline_s,
            memory_mb=self._config.memory_mb,
            rounds=self._config.rounds,
            require_golden=self._config.require_golden,
        )
        # Where engines keep what they compiled changes no answer.
        engine = msgspec.structs.replace(asked.engine, cache_dir="")
        place = asked.bundle.digest, key_of(engine, settings, asked.max_batch)
        # Two pipelines may ask for the same: the second one waits for what the first one finds.
        async with self._asking.setdefault(place, asyncio.Lock()):
            record = await self._record(place, asked, settings, Witness(on_log=on_log, on_start=on_start))
        refused = record.report.refused()
        if refused is not None:
            raise refused
        return Passed(record.report.chosen, min(record.report.batch, asked.max_batch))

    async def _record(
        self, place: tuple[str, str], asked: Asked, settings: Settings, witness: Witness
    ) -> Record:
        """What is known, if it still stands, else what is found now."""
        record = self._known.get(place) or self._records.read(*place)
        if record is None or not record.stands(self._refusal_stands_s):
            attempt = 1 if record is None else record.attempt + 1
            report = await self._examined(asked, settings, witness)
            stands_s = 0.0 if report.chosen else self._stands_s(report, attempt)
            record = Record.made_now(*place, report, attempt=attempt, stands_s=stands_s)
            await asyncio.to_thread(self._records.write, record)  # a slow card must not hold up the agent
            _tell(asked, report)
        if place not in self._known and record.report.chosen and not record.report.checked:
            _tell_unchecked(asked)
        self._known[place] = record
        return record

    def _stands_s(self, report: Report, attempt: int) -> float:
        """How long a refusal stands, the ``attempt``-th in a row."""
        codes = {refusal.code for variant in report.variants for refusal in variant.refusals}
        if codes & _MENDABLE:
            return 0.0  # the bundle is verified anew before the next try, which mends a damaged store
        if codes & _PASSING:
            return min(self._refusal_stands_s, _FIRST_STANDS_S * 2.0 ** min(attempt - 1, 20))
        return self._refusal_stands_s

    async def _examined(self, asked: Asked, settings: Settings, witness: Witness) -> Report:
        log.info("%s: trying the variants of %s %s", asked.label, asked.bundle.name, asked.bundle.version)
        check = BundleCheck(
            asked.bundle,
            asked.engine,
            settings,
            max_batch=asked.max_batch,
            turns=self._turns,
            command=self._command,
            witness=witness,
            rights=asked.rights,
        )
        return await check.run()


def _tell_unchecked(asked: Asked) -> None:
    log.warning(
        "%s: %s %s has no golden frames: nobody checked whether its answers are right on this device",
        asked.label,
        asked.bundle.name,
        asked.bundle.version,
    )


def _tell(asked: Asked, report: Report) -> None:
    for variant in report.variants:
        for refusal in variant.refusals:
            verb = "does not fit" if variant.state == "unfit" else "is refused"
            log.warning(
                "%s: variant %s %s: %s [%s]", asked.label, variant.id, verb, refusal.text, refusal.code
            )
        for line in variant.last_lines:
            log.warning("%s: last words of variant %s: %s", asked.label, variant.id, line)
        if variant.latency is not None and variant.state == "passed":
            log.info(
                "%s: variant %s passed: %.1f ms a frame, %.1f ms for 95 %% of them, %.0f MB%s",
                asked.label,
                variant.id,
                variant.latency.p50_ms,
                variant.latency.p95_ms,
                variant.peak_mb or 0.0,
                ", chosen" if variant.id == report.chosen else "",
            )
