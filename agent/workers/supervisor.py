"""All pipelines of the device: one task each, and one loop that looks after what did not happen."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent import config as schema
from agent import device
from agent.config import Config
from agent.events import EventLog
from agent.file_mark import mark
from agent.preflight.gate import Gate
from agent.redact import Redactor
from agent.trust.device import DeviceTrust
from agent.trust.ingest import Stored
from agent.workers import changes
from agent.workers.bundle_record import BundleRecords
from agent.workers.cores import Cores
from agent.workers.cpu_share import CpuShares
from agent.workers.limits import Limits
from agent.workers.memory import MemoryWatch, headroom_mb
from agent.workers.name_servers import NameServers, needs_names
from agent.workers.pipeline import Listener, Pipeline, PipelineState, Shared
from agent.workers.process import COMMAND
from agent.workers.reason import Reason
from runtime.bundle.ingested import Ingested
from runtime.bundle.limits import Limits as BundleLimits
from runtime.errors import Code, EdgewardError

log = logging.getLogger("pipeline")

PASS_S = 0.25
_NEW_NAMES = Reason("", "the system's list of name servers is a new file, which only a new worker can read")
# While the first pipelines are in these, the next ones wait their turn at the agent's start.
_LOADED: tuple[PipelineState, ...] = (
    "preflight",
    "running",
    "backoff",
    "quarantined",
    "failed",
    "stopped",
)


class Ingest(Protocol):
    """``agent.trust.ingest.ingest``: verify a bundle and unpack it, in a child process."""

    def __call__(
        self,
        bundle: Path | Stored,
        keys: Sequence[Path],
        into: Path,
        *,
        limits: BundleLimits,
        floors: Path | None,
    ) -> Awaitable[Ingested]:
        """Raises ``EdgewardError`` when the bundle is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the pipelines with a new configuration, by name."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class Supervisor:
    """Starts and stops the pipelines, and gives each its regular look.

    Attributes:
        pipelines: by name, in the order of the configuration; always the same dict.
        draining: all were stopped by ``drain``, and none was started since.
        rounds: when the last full round began, monotonic seconds.
        went_round: set once there was one.
    """

    def __init__(
        self,
        config: Config,
        *,
        ingest: Ingest,
        listener: Listener,
        redactor: Redactor,
        limits: Limits | None = None,
        command: Sequence[str] = COMMAND,
        events: EventLog | None = None,
    ) -> None:
        self._ingest = ingest
        self._listener = listener
        self._redactor = redactor
        self._limits = limits or Limits()
        self._command = command
        self._shares = CpuShares.of_this_process()
        self.events = events or EventLog()
        self._config = config
        # Once: the governor and health go by what was found at the start as well.
        self.board = device.current(config)
        self._shared = self._share(config)
        self.pipelines = {item.name: Pipeline(item, self._shared) for item in config.pipeline}
        self.draining = False
        self.rounds = time.monotonic()
        self.went_round = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._secrets: dict[str, object] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._starting: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    def start(self) -> None:
        """Start every pipeline in the order of the configuration, and the loops that watch them."""
        self._make_cache_dir()
        watch = MemoryWatch(self.pipelines, lambda: self._shared.headroom_mb, self._limits, self.events)
        self._starting = asyncio.create_task(self._start_in_order(), name="start")
        self._loops = [
            asyncio.create_task(self._look_after(), name="supervisor"),
            asyncio.create_task(watch.run(), name="memory"),
            self._starting,
        ]

    async def stop(self) -> None:
        """Stop all workers side by side, in order where they obey, and wait until they are gone."""
        self._start_no_more()
        await asyncio.gather(*(self._end(name) for name in self.pipelines))
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def kill(self) -> None:
        """End all workers now."""
        for pipeline in self.pipelines.values():
            pipeline.kill()

    async def apply(self, config: Config) -> Applied:
        """Make ``config`` true; what did not change keeps its worker and its streams, untouched.

        The profile of the board stays the one of the start.
        """
        async with self._changing:
            same = _inputs(config) == _inputs(self._config)
            shared = self._shared if same else self._share(config)
            before = {name: pipeline.config for name, pipeline in self.pipelines.items()}
            wanted = {item.name: item for item in config.pipeline}
            changed = [
                name
                for name, item in wanted.items()
                if name in before
                and (not same or before[name] != item or self._secrets.get(name) != _secrets(item))
            ]
            gone = [name for name in before if name not in wanted]
            # One that is stopped on request stays so, with its new configuration; all that were drained run.
            on_request = {name for name in changed if self.pipelines[name].stopped_on_request}
            idle = set() if self.draining else on_request
            await asyncio.gather(*(self._end(name) for name in (*changed, *gone)))
            self._config, self._shared = config, shared
            for name in gone:
                del self.pipelines[name]
            for name in changed:
                pipeline = self.pipelines[name]
                pipeline.configure(wanted[name], shared, pipeline.supply.choice)
            new = [name for name in wanted if name not in before]
            kept = {**self.pipelines, **{name: Pipeline(wanted[name], shared) for name in new}}
            self.pipelines.clear()
            self.pipelines.update({name: kept[name] for name in wanted})
            self._make_cache_dir()
            unchanged = [name for name in before if name in wanted and name not in changed]
            drained = unchanged if self.draining else []
            for name in (*changed, *new, *drained):
                if name not in idle:
                    self._begin(name)
            self.draining = False
            return Applied(
                started=tuple(new),
                stopped=(*gone, *(name for name in changed if name in idle)),
                restarted=tuple(name for name in changed if name not in idle),
                unchanged=tuple(unchanged),
            )

    async def start_pipeline(self, name: str) -> None:
        """Start it, and let what is in quarantine of it be tried again; one that runs is left alone.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE``.
        """
        async with self._changing:
            pipeline = self._named(name)
            freed = await pipeline.supply.release()
            if freed or self._is_stopped(name) or pipeline.state in {"failed", "quarantined", "backoff"}:
                await self._end(name)
                pipeline.configure(pipeline.config, self._shared, pipeline.supply.choice)
                self._begin(name)
                self.draining = False
        changes.tell_freed(name, freed, "on request", self.events)

    async def stop_pipeline(self, name: str) -> None:
        """Stop it until it is started again; returns when its worker is gone.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE``.
        """
        async with self._changing:
            pipeline = self._named(name)
            await self._end(name)
            await pipeline.stop(by_operator=True)
        self.events.add("pipeline.stopped", "stopped on request", subject=name)

    async def restart_pipeline(self, name: str) -> None:
        """Stop it and start it anew; returns when the old worker is gone.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE``.
        """
        async with self._changing:
            pipeline = self._named(name)
            await self._end(name)
            pipeline.configure(pipeline.config, self._shared, pipeline.supply.choice)
            self._begin(name)
            self.draining = False
        self.events.add("pipeline.restarted", "restarted on request", subject=name)

    async def drain(self) -> list[str]:
        """Stop all pipelines in order, and stay without; returns the names of those that ran."""
        async with self._changing:
            self._start_no_more()
            # Also those whose turn to start has not come yet.
            running = [name for name, one in self.pipelines.items() if one.state != "stopped"]
            await asyncio.gather(*(self._end(name) for name in running))
            for name in running:
                await self.pipelines[name].stop(by_operator=True)
            self.draining = True
        self.events.add("agent.drained", f"{len(running)} pipelines were stopped on request")
        return running

    def _start_no_more(self) -> None:
        if self._starting is not None:
            self._starting.cancel()

    def _named(self, name: str) -> Pipeline:
        pipeline = self.pipelines.get(name)
        if pipeline is None:
            there = ", ".join(self.pipelines) or "none"
            what, remedy = f"no pipeline {name!r}", f"there is {there}"
            raise EdgewardError(Code.CONTROL_UNKNOWN_PIPELINE, what, remedy=remedy)
        return pipeline

    def _is_stopped(self, name: str) -> bool:
        task = self._tasks.get(name)
        return task is None or task.done()

    def _begin(self, name: str) -> None:
        pipeline = self.pipelines[name]
        self._secrets[name] = _secrets(pipeline.config)
        pipeline.begin()
        self._tasks[name] = asyncio.create_task(pipeline.run(), name=f"pipeline-{name}")

    async def _end(self, name: str) -> None:
        """Stop its worker in order, then its task."""
        await self.pipelines[name].stop()
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _start_in_order(self) -> None:
        """One after the other, so that loading does not thrash; nobody waits long for a slow one."""
        for name in list(self.pipelines):
            pipeline = self.pipelines.get(name)
            if pipeline is None or name in self._tasks or pipeline.stopped_on_request:
                continue  # a new configuration or an operator was faster
            self._begin(name)
            await pipeline.wait_for(_LOADED, self._limits.stagger)

    def _share(self, config: Config) -> Shared:
        trust = DeviceTrust(config)
        state = Path(config.device.state_dir)
        into = state / "bundles"
        profile = self.board.profile
        here = os.sched_getaffinity(0)
        cpus = tuple(cpu for cpu in profile.inference_cpus if cpu in here)
        settings = config.supervision

        async def verify(bundle: Path | Stored, *, below_floor: bool) -> Ingested:
            floors = None if below_floor else trust.floors
            return await self._ingest(bundle, trust.keys(), into, limits=config.bundles.limits, floors=floors)

        return Shared(
            verify=verify,
            trust=trust,
            gate=Gate(state / "preflight", config.preflight, refusal_stands_s=self._limits.refusal_stands),
            listener=self._listener,
            redactor=self._redactor,
            events=self.events,
            engine=config.engine,
            supervision=settings,
            state_dir=state,
            records=BundleRecords(state),
            cores=Cores(state / "cores", most=settings.core_dumps, max_mb=settings.core_max_mb),
            profile=profile.name,
            inference_cpus=cpus,
            headroom_mb=round(headroom_mb(settings.headroom_mb, profile.headroom_mb)),
            shares=self._shares,
            limits=self._limits,
            command=self._command,
        )

    def _make_cache_dir(self) -> None:
        """What engines compile is code that they run: nobody else may write there."""
        if not self._config.engine.cache_dir or not self.pipelines:
            return
        folder = Path(self._config.engine.cache_dir)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            log.warning("engines compile at each start: %s: %s", folder, error.strerror)

    async def _look_after(self) -> None:
        names = NameServers()
        while True:
            now = time.monotonic_ns()
            for name, pipeline in list(self.pipelines.items()):
                self._look_at(name, pipeline.tick, now)
            if self._config.supervision.confine and names.replaced(now):
                for pipeline in self.pipelines.values():
                    if needs_names(pipeline.config):
                        pipeline.give_up(_NEW_NAMES)
            # The watchdog of systemd is fed from this: only a whole pass counts as progress.
            self.rounds = now / 1e9
            self.went_round.set()
            await asyncio.sleep(PASS_S)

    def _look_at(self, name: str, tick: Callable[[int], None], now_ns: int) -> None:
        try:
            tick(now_ns)
        except Exception:
            log.exception("%s: a defect in edgeward", name)


def _inputs(config: Config) -> object:
    """What all pipelines share: when it changes they start anew."""
    return (
        config.device,
        config.trust,
        config.bundles,
        config.engine,
        config.preflight,
        config.supervision,
    )


def _secrets(pipeline: schema.Pipeline) -> object:
    """What changes when a password file does."""
    return [mark(Path(stream.password_file)) for stream in pipeline.stream if stream.password_file]
