"""All pipelines of the device: one task each, and one loop that looks after what did not happen."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from agent.config import Config
from agent.preflight.gate import Gate
from agent.redact import Redactor
from agent.trust.device import DeviceTrust
from agent.workers.cpu_share import CpuShares
from agent.workers.pipeline import Limits, Listener, Pipeline, Shared
from agent.workers.process import COMMAND
from runtime.bundle.ingested import Ingested
from runtime.bundle.limits import Limits as BundleLimits

log = logging.getLogger("pipeline")

PASS_S = 0.25


class Ingest(Protocol):
    """``agent.trust.ingest.ingest``: verify a bundle and unpack it, in a child process."""

    def __call__(
        self, bundle: Path, keys: Sequence[Path], into: Path, *, limits: BundleLimits, floors: Path | None
    ) -> Awaitable[Ingested]:
        """Raises ``EdgewardError`` when the bundle is refused."""


class Supervisor:
    """Starts and stops the pipelines, and gives each its regular look."""

    def __init__(
        self,
        config: Config,
        *,
        ingest: Ingest,
        listener: Listener,
        redactor: Redactor,
        limits: Limits | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        trust = DeviceTrust(config)
        into = Path(config.device.state_dir) / "bundles"

        async def verify(bundle: Path) -> Ingested:
            return await ingest(bundle, trust.keys(), into, limits=config.bundles.limits, floors=trust.floors)

        limits = limits or Limits()
        folder = Path(config.device.state_dir) / "preflight"
        shared = Shared(
            ingest=verify,
            trust=trust,
            gate=Gate(folder, config.preflight, refusal_stands_s=limits.refusal_stands),
            listener=listener,
            redactor=redactor,
            engine=config.engine,
            profile=config.device.profile,
            shares=CpuShares.of_this_process(),
            limits=limits,
            command=command,
        )
        self.pipelines = {item.name: Pipeline(item, shared) for item in config.pipeline}
        self._cache_dir = Path(config.engine.cache_dir) if config.engine.cache_dir else None
        self.last_pass_ns = time.monotonic_ns()
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start every pipeline and the loop that watches them."""
        self._make_cache_dir()
        for name, pipeline in self.pipelines.items():
            self._tasks.append(asyncio.create_task(pipeline.run(), name=f"pipeline-{name}"))
        self._watch = asyncio.create_task(self._look_after(), name="supervisor")

    async def stop(self) -> None:
        """Stop all workers side by side, in order where they obey, and wait until they are gone."""
        await asyncio.gather(*(pipeline.stop() for pipeline in self.pipelines.values()))
        tasks = [*self._tasks, *([self._watch] if self._watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def kill(self) -> None:
        """End all workers now."""
        for pipeline in self.pipelines.values():
            pipeline.kill()

    def _make_cache_dir(self) -> None:
        """What engines compile is code that they run: nobody else may write there."""
        if self._cache_dir is None or not self.pipelines:
            return
        try:
            self._cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            log.warning("engines compile at each start: %s: %s", self._cache_dir, error.strerror)

    async def _look_after(self) -> None:
        while True:
            now = time.monotonic_ns()
            for name, pipeline in self.pipelines.items():
                self._look_at(name, pipeline.tick, now)
            # The watchdog of systemd is fed from this: only a whole pass counts as progress.
            self.last_pass_ns = now
            await asyncio.sleep(PASS_S)

    def _look_at(self, name: str, tick: Callable[[int], None], now_ns: int) -> None:
        try:
            tick(now_ns)
        except Exception:
            log.exception("%s: a defect in edgeward", name)
