"""How much memory workers take, and who has to go before the board swaps.

RSS counts shared pages in full, so a worker whose RSS is within its limit need not be measured closer. PSS
is exact, and costs the kernel a walk over all its pages: it is taken when it matters, and seldom for people.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent import config as schema
from agent.events import EventLog
from agent.workers.limits import Limits
from agent.workers.reason import Reason
from runtime import ipc
from runtime.errors import Code

log = logging.getLogger("pipeline")

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_TOTAL_MB = os.sysconf("SC_PHYS_PAGES") * _PAGE_MB
_MEMINFO = Path("/proc/meminfo")
_AGENT_MB = 64.0
# A budget is what the author measured without streams: engines grow a little, and decoders keep frames.
_OF_BUDGET, _OF_A_STREAM_MB = 2.0, 256.0
# PSS for people, when nothing else asks for it.
_PSS_EVERY_S = 10.0
# The board loses memory so fast that all workers are looked at now.
_FAST_MB = 64.0
# Who has grown by less in the last while is not whose doing it is.
_GREW_MB = 32.0
_FORGET_S = 30.0
_REMEDY = "raise memory_mb of the pipeline if it is to take more, else replace its bundle"


@dataclass(slots=True)
class MemoryState:
    """Of one worker and its children, in MB (10^6 bytes)."""

    limit_mb: float = 0.0
    rss_mb: float | None = None
    pss_mb: float | None = None
    pss_at: float = 0.0
    base_mb: float | None = None
    base_at: float = 0.0

    def measured(self, rss_mb: float, now: float) -> None:
        """``rss_mb`` at ``now``; what it grows by counts from the least of the last while."""
        if self.base_mb is None or rss_mb < self.base_mb or now - self.base_at > _FORGET_S:
            self.base_mb, self.base_at = rss_mb, now
        self.rss_mb = rss_mb

    @property
    def grew_mb(self) -> float:
        """How much it grew lately."""
        return (self.rss_mb or 0.0) - (self.base_mb or 0.0)


class Watched(Protocol):
    """A pipeline, as far as its memory goes."""

    memory: MemoryState

    @property
    def pid(self) -> int | None:
        """Of its worker."""

    def give_up(self, reason: Reason) -> None:
        """Kill the worker."""


def automatic_limit_mb(config: schema.Pipeline, ready: ipc.Ready | None, headroom_mb: float) -> float:
    """What a worker may take: as configured, else by its manifests' budgets, else all but the headroom."""
    if config.memory_mb:
        return config.memory_mb
    most = max(_TOTAL_MB - headroom_mb - _AGENT_MB, _TOTAL_MB / 4)
    if ready is None or not ready.memory_mb:
        return round(most, 1)
    return round(min(most, _OF_BUDGET * ready.memory_mb + _OF_A_STREAM_MB * len(config.stream)), 1)


def headroom_mb(configured: float, of_profile: float) -> float:
    """Memory that is left to the board: as configured, by its profile, else a tenth of it."""
    return configured or of_profile or min(256.0, _TOTAL_MB / 10)


class MemoryWatch:
    """Looks at the workers one after the other, and at the board more often.

    Args:
        pipelines: by name; may change.
        headroom_mb: of the board, that are to stay available.
        limits: how often.
        events: told of a board without memory.
        meminfo: the kernel's.
    """

    def __init__(
        self,
        pipelines: Mapping[str, Watched],
        headroom_mb: Callable[[], float],
        limits: Limits,
        events: EventLog,
        *,
        meminfo: Path = _MEMINFO,
    ) -> None:
        self._pipelines = pipelines
        self._headroom_mb = headroom_mb
        self._limits = limits
        self._events = events
        self._meminfo = meminfo
        self._due: dict[str, float] = {}
        self._available_mb: float | None = None
        self._told = False

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            try:
                await self.look(time.monotonic())
            except Exception:
                log.exception("a defect in edgeward: memory is not watched this once")
            await asyncio.sleep(self._limits.board_look)

    async def look(self, now: float) -> None:
        """One look at the board, and at the workers whose turn it is."""
        before, available = self._available_mb, available_mb(self._meminfo)
        self._available_mb = available
        fast = before is not None and available is not None and before - available > _FAST_MB
        for index, (name, pipeline) in enumerate(list(self._pipelines.items())):
            # Not all in one moment: each has its own place within the period.
            first = now + self._limits.memory_look * index / max(len(self._pipelines), 1)
            if (fast or now >= self._due.setdefault(name, first)) and pipeline.pid is not None:
                self._due[name] = now + self._limits.memory_look
                await self._look_at(name, pipeline, now)
        for name in self._due.keys() - self._pipelines.keys():
            del self._due[name]
        if before is not None and available is not None:
            await self._judge_board(available, falling=available < before, now=now)

    async def _look_at(self, name: str, pipeline: Watched, now: float) -> None:
        pid, memory = pipeline.pid, pipeline.memory
        if pid is None:
            return
        pids = family(pid)
        memory.measured(rss_mb(pids), now)
        over = memory.limit_mb and (memory.rss_mb or 0.0) > memory.limit_mb
        if over or now - memory.pss_at > _PSS_EVERY_S:
            memory.pss_at = now
            # In a thread: of gigabytes the kernel needs a while, and supervision must go on.
            memory.pss_mb = await asyncio.to_thread(pss_mb, pids)
        taken = memory.pss_mb if memory.pss_mb is not None else memory.rss_mb
        if over and taken is not None and taken > memory.limit_mb and pipeline.pid == pid:
            kind = "proportional set size" if memory.pss_mb is not None else "resident set size"
            text = f"the worker took {taken:.0f} MB ({kind}), its limit is {memory.limit_mb:.0f} MB"
            log.warning("%s: %s", name, text)
            pipeline.give_up(Reason(Code.WORKER_MEMORY.text, text, _REMEDY))

    async def _judge_board(self, available: float, *, falling: bool, now: float) -> None:
        headroom = self._headroom_mb()
        if available >= headroom:
            self._told = self._told and available < 1.25 * headroom
            return
        if not falling:
            return
        for name, pipeline in list(self._pipelines.items()):
            if pipeline.pid is not None:
                self._due[name] = now + self._limits.memory_look
                pipeline.memory.measured(rss_mb(family(pipeline.pid)), now)
        running = [item for item in self._pipelines.items() if item[1].pid is not None]
        name, worst = max(running, key=lambda item: item[1].memory.grew_mb, default=("", None))
        low = f"{available:.0f} MB are available on this device, {headroom:.0f} MB are to stay free"
        if worst is not None and worst.memory.grew_mb >= _GREW_MB:
            memory = worst.memory
            text = (
                f"{low}: the worker that grew most is ended; it grew by {memory.grew_mb:.0f} MB"
                f" to {memory.rss_mb:.0f} MB (resident set size)"
            )
            log.warning("%s: %s", name, text)
            worst.give_up(Reason(Code.WORKER_MEMORY.text, text, _REMEDY))
        elif not self._told:
            self._told = True
            text = f"{low}, and no worker grew: another program takes it"
            log.warning("%s", text)
            remedy = "see with 'ps aux --sort -rss' who takes it"
            self._events.add(
                "memory.low", text, severity="warning", code=Code.WORKER_MEMORY.text, remedy=remedy
            )


def available_mb(meminfo: Path = _MEMINFO) -> float | None:
    """Memory that could be used without swapping, in MB; ``None`` where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in meminfo.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None


def family(pid: int) -> list[int]:
    """A process and all that descend from it, as far as they can be seen."""
    found = [pid]
    for member in found:  # grows while it is walked
        with contextlib.suppress(OSError):
            for task in os.scandir(f"/proc/{member}/task"):
                with contextlib.suppress(OSError, ValueError):
                    found += map(int, Path(task.path, "children").read_text("ascii").split())
    return found


def rss_mb(pids: Sequence[int]) -> float:
    """Resident set size of some processes together, in MB; one that has ended counts nothing."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * _PAGE_MB


def pss_mb(pids: Sequence[int]) -> float | None:
    """Proportional set size of some processes together, in MB; ``None`` where the kernel does not tell."""
    total: float | None = None
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
                if line.startswith("Pss:"):
                    total = (total or 0.0) + int(line.split()[1]) * 1024 / 1e6
    return total
