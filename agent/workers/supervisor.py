"""All pipelines of the device: one task each, and one loop that looks after what did not happen."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from agent.config import Config
from agent.redact import Redactor
from agent.workers.pipeline import Limits, Listener, Pipeline
from agent.workers.process import COMMAND
from runtime.bundle.ingested import Ingested

log = logging.getLogger("pipeline")

PASS_S = 0.25


class Ingest(Protocol):
    """``agent.trust.ingest.ingest``: verify a bundle and unpack it, in a child process."""

    def __call__(self, bundle: Path, keys: Sequence[Path], into: Path) -> Awaitable[Ingested]:
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
        keys = [Path(key) for key in config.trust.release_keys]
        into = Path(config.device.state_dir) / "bundles"

        async def verify(bundle: Path) -> Ingested:
            return await ingest(bundle, keys, into)

        self.pipelines = {
            item.name: Pipeline(
                item,
                ingest=verify,
                listener=listener,
                redactor=redactor,
                limits=limits or Limits(),
                command=command,
            )
            for item in config.pipeline
        }
        self.last_pass_ns = time.monotonic_ns()
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start every pipeline and the loop that watches them."""
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
