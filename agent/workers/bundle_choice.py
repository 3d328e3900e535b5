"""Which bundle a stage of a pipeline runs: the configured one, an operator's, or the last that ran well here.

Pure bookkeeping over ``bundle_record``; whoever uses it verifies what it chose and writes the record.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from agent.file_mark import mark
from agent.workers.bundle_record import (
    MOST_QUARANTINED,
    Installed,
    Known,
    Quarantined,
    Record,
    StageRecord,
)
from agent.workers.reason import Reason
from runtime.bundle.ingested import Ingested


def known(bundle: Ingested, variant: str = "") -> Known:
    """What is kept of a verified bundle."""
    return Known(
        digest=bundle.digest,
        name=bundle.name,
        version=bundle.version,
        release_counter=bundle.release_counter,
        variant=variant,
    )


class BundleChoice:
    """The choices of one pipeline. ``record`` is to be written after each change of it, under ``writing``."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.writing = asyncio.Lock()

    def stage(self, name: str) -> StageRecord:
        """What is known of a stage."""
        return self.record.stages.get(name, StageRecord())

    def installed(self, stage: str, file: Path) -> Installed | None:
        """What an operator put in the place of ``file``, if that has not changed since."""
        found = self.stage(stage).installed
        return found if found is not None and found.instead_of == _mark(file) else None

    def install(self, stage: str, file: Path, bundle: Known, *, back: bool = False) -> None:
        """Put ``bundle`` in the place of ``file``, for as long as that does not change."""
        installed = Installed(bundle=bundle, instead_of=_mark(file), back=back)
        self._replace(stage, installed=installed)
        self.release(stage, bundle.digest)

    def reinstate(self, stage: str, installed: Installed | None) -> None:
        """Take back an ``install``: ``installed`` is what there was before it."""
        self._replace(stage, installed=installed)

    def quarantined(self, stage: str, digest: str) -> Quarantined | None:
        """Why this bundle must not run, if it must not."""
        return next((one for one in self.stage(stage).quarantined if one.bundle.digest == digest), None)

    def quarantine(self, stage: str, bundle: Known, reason: Reason) -> None:
        """Run it no more."""
        new = Quarantined(bundle=bundle, code=reason.code, text=reason.text, at=time.time())
        rest = [one for one in self.stage(stage).quarantined if one.bundle.digest != bundle.digest]
        self._replace(stage, quarantined=(*rest, new)[-MOST_QUARANTINED:])

    def release(self, stage: str | None = None, digest: str | None = None) -> list[Quarantined]:
        """Let quarantined bundles run again: of one stage or of all, one bundle or all; returns which."""
        freed: list[Quarantined] = []
        for name, record in list(self.record.stages.items()):
            if stage in {None, name}:
                gone = [one for one in record.quarantined if digest in {None, one.bundle.digest}]
                if gone:
                    freed += gone
                    self._replace(name, quarantined=tuple(o for o in record.quarantined if o not in gone))
        return freed

    def way_back(self, stage: str, digest: str) -> Known | None:
        """The last bundle that ran well in this stage on this device, other than ``digest``."""
        record = self.stage(stage)
        for bundle in (record.current, record.previous):
            if bundle and bundle.digest != digest and not self.quarantined(stage, bundle.digest):
                return bundle
        return None

    def chosen(self, digests: dict[str, str]) -> bool:
        """These run now, by stage; returns whether any is another than before."""
        changed = {stage: digest for stage, digest in digests.items() if self.stage(stage).seen != digest}
        if not changed:
            return False
        number = self.record.changes + 1
        self.record = msgspec.structs.replace(self.record, changes=number)
        for stage, digest in changed.items():
            self._replace(stage, seen=digest, change=number)
        return True

    def suspect(self, stages: list[str]) -> str:
        """The stage whose bundle is likeliest at fault: the one that changed last, else the first.

        A worker that dies cannot say which of its models was to blame.
        """
        return max(stages, key=lambda stage: self.stage(stage).change)

    def ran_well(self, stage: str, bundle: Known) -> bool:
        """It runs well; what did before it becomes the previous one. Returns whether that is news."""
        record = self.stage(stage)
        if record.current == bundle:
            return False
        same = record.current is not None and record.current.digest == bundle.digest
        self._replace(stage, current=bundle, previous=record.previous if same else record.current)
        return True

    def _replace(self, stage: str, **changes: object) -> None:
        new = msgspec.structs.replace(self.stage(stage), **changes)
        self.record = msgspec.structs.replace(self.record, stages={**self.record.stages, stage: new})


def _mark(file: Path) -> str:
    return repr(mark(file))
