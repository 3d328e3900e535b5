"""What is done about a worker that has ended badly: it is told, what it left is kept, its bundle judged."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from agent.workers.bundle_supply import BundleSupply
from agent.workers.crash_window import CrashWindow, is_bad
from agent.workers.life import Life
from agent.workers.reason import Reason
from agent.workers.shared import Shared
from runtime.errors import Code

log = logging.getLogger("pipeline")

_LAST_WORDS = 5


class Aftermath:
    """Of the workers of one pipeline; ``scratch`` is their working directory."""

    def __init__(self, name: str, shared: Shared, supply: BundleSupply, scratch: Path) -> None:
        settings = shared.supervision
        self._name = name
        self._shared = shared
        self._supply = supply
        self._scratch = scratch
        self._window = CrashWindow(settings.bad_ends, settings.window_s)
        self._counted: list[str] = []

    def count_for(self, digests: list[str]) -> None:
        """These bundles run now: what others did is not held against them."""
        if digests != self._counted:
            self._counted = digests
            self._window.clear()

    async def of(self, life: Life, verdict: Reason, now_ns: int) -> bool:
        """See to the end of ``life`` for the reason ``verdict``; returns whether its bundle is given up."""
        name, lines = self._name, life.last_lines
        log.warning("%s: %s (%s)", name, verdict, life.how)
        for line in lines[-_LAST_WORDS:]:
            log.warning("%s: its last words: %s", name, line)
        words = " | ".join(lines[-_LAST_WORDS:])
        text = f"{verdict.text}; its last words: {words}" if words else verdict.text
        core = await self._core_dump(life)
        if core:
            log.warning("%s: core dump: %s", name, core)
            text += f"; core dump: {core}"
        self._shared.events.add(
            "worker.ended",
            text,
            subject=name,
            severity="warning",
            code=verdict.code,
            remedy=verdict.remedy,
        )
        if verdict.code.startswith("bundle."):
            self._supply.verify_anew()  # the store was damaged: verifying the files anew mends it
        if life.ended_by_request or not is_bad(verdict.code):
            return False
        if not self._window.add(now_ns / 1e9) and not self._supply.tried:
            return False
        await self._crash_looped(verdict)
        return True

    async def _core_dump(self, life: Life) -> str:
        """Where its core dump is now, in words; empty when there is none."""
        first = self._supply.bundles.get("")
        ended_by = life.how.removeprefix("killed by ")
        if first is None or ended_by in {life.how, "SIGKILL"}:
            return ""
        return await asyncio.to_thread(
            self._shared.cores.collect,
            self._scratch,
            name=first.name,
            version=first.version,
            ended_by=ended_by,
        )

    async def _crash_looped(self, verdict: Reason) -> None:
        settings = self._shared.supervision
        many = f"{settings.bad_ends} bad ends of its worker within {settings.window_s:g} s"
        what = "its worker ended badly when it was tried again" if self._supply.tried else many
        bundle = await self._supply.crash_looped(verdict)
        self._window.clear()
        text = f"{what}: {bundle} is in quarantine; the last: {verdict.text}"
        log.error("%s: %s", self._name, text)
        self._shared.events.add(
            "bundle.quarantined",
            text,
            subject=self._name,
            severity="critical",
            code=Code.BUNDLE_QUARANTINED.text,
        )
