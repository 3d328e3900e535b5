"""The verified bundles of one pipeline: chosen, verified by a child, put in quarantine, taken back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from agent.file_mark import mark
from agent.trust.device import DeviceTrust, TrustWatch
from agent.trust.ingest import Stored
from agent.workers.bundle_choice import BundleChoice, known
from agent.workers.bundle_record import BundleRecords, Installed, Known, Quarantined, Record
from agent.workers.reason import Reason
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError

log = logging.getLogger("pipeline")

_REMEDY = "install another bundle, or try this one again with 'edgeward pipelines start {name}'"


class Verify(Protocol):
    """Verifies a bundle in a child; ``below_floor``: an older release than has run here may pass."""

    def __call__(self, bundle: Path | Stored, /, *, below_floor: bool) -> Awaitable[Ingested]:
        """Raises ``EdgewardError`` when the bundle is refused."""


class BundleSupply:
    """Of one pipeline.

    Attributes:
        bundles: those that were verified, all or none, by name of the stage; the first model has none: "".
        quarantine: by stage, why the chosen bundle is not to run; the previous good one runs then, if any.
        tried: stages in which it runs all the same, on trial, for want of another one.
        choice: what is known of its bundles.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, Path],
        verify: Verify,
        trust: DeviceTrust,
        records: BundleRecords,
        *,
        fall_back: bool = True,
        choice: BundleChoice | None = None,
    ) -> None:
        self.bundles: dict[str, Ingested] = {}
        self.quarantine: dict[str, Reason] = {}
        self.tried: set[str] = set()
        self.choice = choice or BundleChoice(records.read(name))
        self._name = name
        self._files = dict(files)
        self._verify = verify
        self._trust = trust
        self._records = records
        self._fall_back = fall_back
        self._watch = TrustWatch(trust)
        self._way_back: set[str] = set()
        self._may_try = False
        self._verified_marks: object = None
        self._looked_at: object = None

    async def verified(self) -> dict[str, Ingested]:
        """The bundles to run; those of the last time where nothing has changed since.

        Raises:
            EdgewardError: a bundle was refused; ``BUNDLE_QUARANTINED`` when one is in quarantine and there is
                none to fall back to.
        """
        marks = self._marks()
        self._looked_at = marks, self._trust.floors_mark()
        self._watch.verified(marks[1])
        stored = all(bundle.path.is_dir() for bundle in self.bundles.values())
        if self.bundles and stored and marks == self._verified_marks:
            return self.bundles
        self.quarantine, self.tried, self._way_back = {}, set(), set()
        by_file: dict[Path, Ingested] = {}
        found: dict[str, Ingested] = {}
        for stage, file in self._files.items():
            found[stage] = await self._one(stage, file, by_file)
            label = f"{self._name}/{stage}" if stage else self._name
            bundle = found[stage]
            log.info(
                "%s: bundle %s %s is verified (%.12s)", label, bundle.name, bundle.version, bundle.digest
            )
        self.bundles, self._verified_marks = found, marks
        self._may_try = bool(self.tried)
        if self.choice.chosen({stage: bundle.digest for stage, bundle in found.items()}):
            await self.keep()
        return found

    async def _one(self, stage: str, file: Path, by_file: dict[Path, Ingested]) -> Ingested:
        """The bundle of one stage."""
        installed = self.choice.installed(stage, file)
        if installed is not None:
            if installed.back:
                self._way_back.add(stage)
            bundle = await self._verify(Stored(installed.bundle.digest), below_floor=installed.back)
        elif file in by_file:  # two stages may use one bundle
            bundle = by_file[file]
        else:
            bundle = by_file[file] = await self._verify(file, below_floor=False)
        bad = self.choice.quarantined(stage, bundle.digest)
        return bundle if bad is None else await self._instead_of(stage, bundle, bad)

    async def _instead_of(self, stage: str, bundle: Ingested, bad: Quarantined) -> Ingested:
        """The previous good bundle of a stage whose chosen one is in quarantine, or that one on trial."""
        why = f"{bad.bundle} is in quarantine: {bad.text}"
        remedy = _REMEDY.format(name=self._name)
        way_back = self.choice.way_back(stage, bad.bundle.digest)
        if way_back is None or not self._fall_back:
            lack = "no other one has run well here" if way_back is None else "supervision.fall_back is off"
            return self._on_trial(stage, bundle, f"{why}; {lack}", remedy)
        try:
            previous = await self._verify(Stored(way_back.digest), below_floor=True)
        except EdgewardError as error:
            lack = f"the previous one, {way_back}, cannot run either: {error}"
            return self._on_trial(stage, bundle, f"{why}; {lack}", remedy)
        self._way_back.add(stage)
        text = f"{why}; {way_back} runs in its place"
        self.quarantine[stage] = Reason(Code.BUNDLE_QUARANTINED.text, text, remedy)
        return previous

    def _on_trial(self, stage: str, bundle: Ingested, why: str, remedy: str) -> Ingested:
        """The bundle that is in quarantine, when it may be tried again."""
        if not self._may_try:
            self.quarantine[stage] = Reason(Code.BUNDLE_QUARANTINED.text, why, remedy)
            raise EdgewardError(Code.BUNDLE_QUARANTINED, why, remedy=remedy)
        self.tried.add(stage)
        self.quarantine[stage] = Reason(Code.BUNDLE_QUARANTINED.text, f"{why}: it is tried again", remedy)
        return bundle

    def try_again(self) -> None:
        """Let what is in quarantine run on trial, where there is nothing else: its next bad end ends that."""
        self._may_try = True
        self.verify_anew()

    async def crash_looped(self, reason: Reason) -> Known:
        """Its workers end badly again and again: the likeliest bundle is put in quarantine; returns which."""
        # What is on a way back was put there because another one failed: it comes last.
        forward = [stage for stage in self.bundles if stage not in self._way_back]
        stage = self.choice.suspect(sorted(self.tried) or forward or list(self.bundles))
        bundle = known(self.bundles[stage])
        self.choice.quarantine(stage, bundle, reason)
        self._may_try = False
        self.verify_anew()
        await self.keep()
        return bundle

    async def ran_well(self, variants: Mapping[str, str]) -> list[Quarantined]:
        """The bundles that run have run well for a while; ``variants`` by stage.

        Returns:
            Those that were in quarantine until now.
        """
        news = [
            self.choice.ran_well(stage, known(bundle, variants.get(stage, "")))
            for stage, bundle in self.bundles.items()
        ]
        freed = [
            one for stage in self.tried for one in self.choice.release(stage, self.bundles[stage].digest)
        ]
        for stage in self.tried:
            self.quarantine.pop(stage, None)
        self.tried, self._may_try = set(), False
        if freed or any(news):
            await self.keep()
        return freed

    async def release(self) -> list[Quarantined]:
        """An operator wants it tried again: nothing is in quarantine any more; returns what was."""
        freed = self.choice.release()
        if freed:
            self.verify_anew()
            await self.keep()
        return freed

    async def verify(self, file: Path) -> Ingested:
        """Verify a bundle file and store it, without running it.

        Raises:
            EdgewardError: it was refused.
        """
        return await self._verify(file, below_floor=False)

    async def install(self, bundle: Ingested, stage: str) -> None:
        """Run a stored bundle in the place of the configured file, until that changes.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE`` for a stage that there is not; ``SYSTEM_*`` when it
                cannot be kept.
        """
        file, before = self._file(stage), self.choice.record
        self.choice.install(stage, file, known(bundle))
        await self._switch(before)

    def installed(self, stage: str) -> Installed | None:
        """What an operator put in the place of the configured file, for ``take_back``.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE`` for a stage that there is not.
        """
        self._file(stage)
        return self.choice.stage(stage).installed

    async def take_back(self, stage: str, before: Installed | None) -> None:
        """Run again what ran before an ``install``.

        Raises:
            EdgewardError: ``SYSTEM_*`` when it cannot be kept.
        """
        self.choice.reinstate(stage, before)
        self.verify_anew()
        await self._write()

    async def roll_back(self, stage: str) -> Known:
        """Run the bundle that ran well before the present one, until the configured file changes.

        Raises:
            EdgewardError: as ``install``; ``CONTROL_STATE`` when there is no such bundle; or it is refused
                now, and what runs is left alone.
        """
        file = self._file(stage)
        runs = self.bundles.get(stage)
        now = runs.digest if runs else self.choice.stage(stage).seen
        target = self.choice.way_back(stage, now)
        if target is None:
            what = "no other bundle ran well here before, for supervision.calm_after_s"
            remedy = "see 'edgeward bundles list', and install one: 'edgeward bundles install'"
            raise EdgewardError(Code.CONTROL_STATE, what, where=self._label(stage), remedy=remedy)
        await self._verify(Stored(target.digest), below_floor=True)
        before = self.choice.record
        self.choice.install(stage, file, target, back=True)
        await self._switch(before)
        return target

    def verify_anew(self) -> None:
        """The next ``verified`` looks at all files, whether or not they changed."""
        self._verified_marks = None

    def changed(self) -> bool:
        """Whether a bundle, a key or a floor is another one than when they were last verified."""
        return (self._marks(), self._trust.floors_mark()) != self._looked_at

    def withdrawn(self, now_ns: int) -> str:
        """Why a bundle that runs is trusted no more; empty when it is."""
        return self._watch.withdrawn(self.bundles.values(), now_ns)

    async def commit(self) -> EdgewardError | None:
        """Raise the floors to what became ready, but for what is on a way back; see ``DeviceTrust``."""
        return await self._trust.commit(self._forward())

    async def keep(self) -> None:
        """Write the record; a full disk costs what is known after the next start, and is told."""
        try:
            await self._write()
        except EdgewardError as error:
            log.warning("%s: what is known of its bundles cannot be kept: %s", self._name, error)

    async def _switch(self, before: Record) -> None:
        """Keep what was chosen, or else what was ``before``: an error means that nothing has changed."""
        try:
            await self._write()
        except EdgewardError:
            self.choice.record = before
            raise
        self.verify_anew()

    async def _write(self) -> None:
        async with self.choice.writing:  # so that the newest is written last
            await asyncio.to_thread(self._records.write, self.choice.record)

    def _forward(self) -> Iterable[Ingested]:
        return [bundle for stage, bundle in self.bundles.items() if stage not in self._way_back]

    def _file(self, stage: str) -> Path:
        if stage not in self._files:
            there = ", ".join(name for name in self._files if name) or "none"
            what, remedy = f"no stage {stage!r}", f"there is {there}"
            raise EdgewardError(Code.CONTROL_UNKNOWN_PIPELINE, what, where=self._name, remedy=remedy)
        return self._files[stage]

    def _label(self, stage: str) -> str:
        return f"{self._name}/{stage}" if stage else self._name

    def _marks(self) -> tuple[object, object]:
        return [mark(file) for file in self._files.values()], self._trust.marks()
