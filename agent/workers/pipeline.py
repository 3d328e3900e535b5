"""One pipeline: its bundles are verified, its worker runs, and is started again whenever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from agent import config as schema
from agent.backoff import Backoff
from agent.file_mark import mark
from agent.preflight.gate import REFUSAL_STANDS_S, Asked, Gate, Passed
from agent.redact import Redactor
from agent.trust.device import DeviceTrust, TrustWatch
from agent.workers.cpu_share import CpuShares
from agent.workers.process import COMMAND, WorkerProcess
from agent.workers.start_message import at_a_time, engine_options, start_message
from agent.workers.stream_watch import Change, Reason, StreamWatch
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError, ExitStatus

log = logging.getLogger("pipeline")

PipelineState = Literal["verifying", "preflight", "starting", "running", "backoff", "failed", "stopped"]


class Listener(Protocol):
    """Who wants to know. Called on the event loop; must return at once."""

    def on_result(self, pipeline: Pipeline, watch: StreamWatch, result: ipc.Result, now_ns: int) -> None:
        """A result came; ``now_ns`` is when."""

    def on_change(self, pipeline: Pipeline) -> None:
        """The pipeline, its bundle or one of its streams changed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times in seconds; tests shorten them."""

    first_restart: float = 0.3
    slowest_restart: float = 30.0
    calm_after: float = 60.0
    refused_retry: float = 60.0
    refusal_stands: float = REFUSAL_STANDS_S
    look_for_bundle: float = 1.0
    stop_grace: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all pipelines of a device have in common.

    ``ingest`` verifies and stores a bundle; ``trust`` says when to do so anew, and keeps the floors; ``gate``
    tries it on this device; ``engine`` and ``profile`` are the device's; ``command`` is the worker.
    """

    ingest: Callable[[Path], Awaitable[Ingested]]
    trust: DeviceTrust
    gate: Gate
    listener: Listener
    redactor: Redactor
    engine: schema.Engine
    profile: str
    shares: CpuShares
    limits: Limits
    command: Sequence[str] = COMMAND


class Pipeline:
    """Runs as one task (``run``); ``tick`` is called by the supervisor several times a second.

    ``bundles`` are those that were verified, all or none, by name of the stage; the first model has none: "".
    """

    def __init__(self, config: schema.Pipeline, shared: Shared) -> None:
        now = time.monotonic_ns()
        self.config = config
        self.state: PipelineState = "verifying"
        self.since_ns = now
        self.reason: Reason | None = None
        self.restarts = 0
        self.last_end: Reason | None = None
        self.last_end_ns = 0
        self.bundles: dict[str, Ingested] = {}
        self.ready: ipc.Ready | None = None
        self.metrics: ipc.Metrics | None = None
        self.streams = {stream.name: StreamWatch(stream, now) for stream in config.stream}
        self._shared = shared
        self._trust = TrustWatch(shared.trust)
        self._engines = engine_options(config, shared.engine, shared.profile)
        self._redactor = shared.redactor
        self._limits = shared.limits
        self._files = {"": Path(config.bundle)} | {stage.name: Path(stage.bundle) for stage in config.stage}
        self._worker: WorkerProcess | None = None
        self._heard_ns = now
        self._progress_from_ns: int | None = None
        self._verdict: Reason | None = None
        self._ended_in_order = False
        self._verified_marks: object = None
        self._looked_at: object = None
        self._commit: asyncio.Task[None] | None = None
        self._backoff = Backoff(self._limits.first_restart, self._limits.slowest_restart)

    @property
    def pid(self) -> int | None:
        """The worker's process id, while it lives."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    async def run(self) -> None:
        """Verify, try, run, and run again, until cancelled. Nothing that goes wrong in it leaves it."""
        while True:
            try:
                bundles = await self._verified()
                passed = await self._preflight(bundles)
                await self._serve(bundles, passed)
            except EdgewardError as error:
                await self._failed(Reason(error.code.text, self._text(error), error.remedy))
                continue
            except OSError as error:
                await self._failed(Reason(Code.SYSTEM_IO.text, self._redactor(str(error))))
                continue
            except Exception as error:
                log.exception("%s: a defect in edgeward", self.config.name)
                await self._failed(Reason(Code.INTERNAL.text, f"{type(error).__name__}", "please report it"))
                continue
            if self._ended_in_order:
                self._enter("stopped", self._verdict)
                return
            self._enter("backoff", self._verdict)
            await asyncio.sleep(self._backoff.next_delay())

    async def stop(self) -> None:
        """End the worker in order; ``run`` must have been left to finish by itself or be cancelled after."""
        self._ended_in_order = True
        self._verdict = None
        if self._worker is not None and self._worker.alive:
            await self._worker.stop(self._limits.stop_grace)

    def kill(self) -> None:
        """End the worker now."""
        if self._worker is not None:
            self._worker.kill()

    def tick(self, now_ns: int) -> None:
        """Notice what did not happen: a worker that is silent, streams without results."""
        waiting_for = None if self.state == "running" else self.reason or self.last_end
        for name, watch in self.streams.items():
            self._tell(name, watch.tick(now_ns, waiting_for))
        if self.pid is None or self._verdict is not None or self._ended_in_order:
            return
        loading = self.state == "starting"
        allowed = self.config.load_timeout_s if loading else self.config.worker_timeout_s
        if now_ns - self._heard_ns > allowed * 1e9:
            what = "did not load its bundle" if loading else "gave no sign of life"
            self._give_up(Reason(Code.WORKER_HUNG.text, f"the worker {what} for {allowed:g} s"))
            return
        if why := self._trust.withdrawn(self.bundles.values(), now_ns):
            self._give_up(Reason(Code.BUNDLE_UNTRUSTED_KEY.text, why))
            return
        for name, watch in self.streams.items():
            if self.state == "running" and watch.silent_too_long(now_ns):
                text = f"the worker reads stream {name} and gives no results"
                self._give_up(Reason(Code.WORKER_HUNG.text, text))
                return

    async def _verified(self) -> dict[str, Ingested]:
        marks = self._marks()
        self._looked_at = marks, self._shared.trust.floors_mark()
        self._trust.verified(marks[1])
        stored = all(bundle.path.is_dir() for bundle in self.bundles.values())
        if self.bundles and stored and marks == self._verified_marks:
            return self.bundles
        self._enter("verifying", None)
        by_file: dict[Path, Ingested] = {}
        for stage, file in self._files.items():
            if file in by_file:
                continue  # two stages may use one bundle
            found = by_file[file] = await self._shared.ingest(file)
            label = f"{self.config.name}/{stage}" if stage else self.config.name
            log.info("%s: bundle %s %s is verified (%.12s)", label, found.name, found.version, found.digest)
        self.bundles = {stage: by_file[file] for stage, file in self._files.items()}
        self._verified_marks = marks
        return self.bundles

    async def _preflight(self, bundles: dict[str, Ingested]) -> dict[str, Passed]:
        """The variant of each bundle that runs best on this device, of those that may run on it at all."""
        name, shares = self.config.name, self._shared.shares
        batches = at_a_time(self.config)
        found: dict[str, Passed] = {}

        def printed(line: str) -> None:
            log.info("%s: preflight: %s", name, self._redactor(line))

        def started(pid: int) -> None:
            # With the share of the worker to come: its latency is measured as it will be.
            shares.give(name, pid, self.config.weight)
            self._enter("preflight", None)

        try:
            for stage, options in self._engines.items():
                asked = Asked(
                    label=f"{name}/{stage}" if stage else name,
                    bundle=bundles[stage],
                    engine=options,
                    load_s=self.config.load_timeout_s,
                    max_batch=batches[stage],
                )
                found[stage] = await self._shared.gate.passed(asked, on_log=printed, on_start=started)
        finally:
            shares.ended(name)
        return found

    async def _serve(self, bundles: dict[str, Ingested], passed: dict[str, Passed]) -> None:
        """One life of a worker; why it ended is in ``_verdict`` afterwards."""
        start = start_message(self.config, self._engines, bundles, passed, self._redactor)
        self._verdict, self._ended_in_order = None, False
        self.ready, self.metrics, self._progress_from_ns = None, None, None
        for watch in self.streams.values():
            watch.worker_started()
        self._heard_ns = time.monotonic_ns()
        worker = await WorkerProcess.start(start, on_log=self._log_line, command=self._shared.command)
        self._worker = worker
        self._shared.shares.give(self.config.name, worker.pid, self.config.weight)
        self._enter("starting", None)
        try:
            while (message := await worker.receive()) is not None:
                self._hear(message)
            await self._let_it_end(worker)
        except EdgewardError as error:
            self._give_up(Reason(error.code.text, self._text(error)))
        finally:
            worker.kill()
            await asyncio.shield(worker.wait())
            self._worker = None
            self._shared.shares.ended(self.config.name)
        self._judge(worker)

    async def _let_it_end(self, worker: WorkerProcess) -> None:
        """It closed its end of the socket: it is about to exit, or it must be made to."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.stop_grace):
                await worker.wait()

    def _judge(self, worker: WorkerProcess) -> None:
        how = worker.describe_exit()
        if self._ended_in_order:
            return
        if self._verdict is None:
            self._verdict = Reason(Code.WORKER_DIED.text, f"the worker ended: {how}")
        if self._verdict.code.startswith("bundle."):
            self._verified_marks = None  # the store was damaged: verify the files anew, which mends it
        self.restarts += 1
        self.last_end, self.last_end_ns = self._verdict, time.monotonic_ns()
        progress_ns = self.last_end_ns - (self._progress_from_ns or self.last_end_ns)
        if progress_ns > self._limits.calm_after * 1e9:
            self._backoff.reset()
        log.warning("%s: %s (process %d, %s)", self.config.name, self._verdict, worker.pid, how)
        for line in worker.last_lines[-5:]:
            log.warning("%s: its last words: %s", self.config.name, self._redactor(line))

    def _hear(self, message: ipc.FromWorker) -> None:
        now = time.monotonic_ns()
        self._heard_ns = now
        match message:
            case ipc.Result():
                self._hear_result(message, now)
            case ipc.Metrics():
                self._hear_metrics(message)
            case ipc.StreamChanged():
                self._hear_source(message, now)
            case ipc.Ready():
                self._hear_ready(message, now)
            case ipc.Fatal():
                text = f"{message.where}: {message.what}" if message.where else message.what
                self._verdict = Reason(message.code, self._redactor(text), self._redactor(message.remedy))
            case ipc.Stopped():
                if message.reason == "sources-ended":
                    self._ended_in_order = True
                    self._verdict = Reason("", "all sources have ended")

    def _hear_result(self, message: ipc.Result, now: int) -> None:
        watch = self.streams.get(message.stream)
        if watch is None:
            raise EdgewardError(Code.WORKER_PROTOCOL, "a result of a stream that is not configured")
        if self._progress_from_ns is None:
            self._progress_from_ns = now
        self._tell(message.stream, watch.result(message, now))
        self._shared.listener.on_result(self, watch, message, now)

    def _hear_metrics(self, message: ipc.Metrics) -> None:
        self.metrics = message
        for name, counters in message.streams.items():
            if name in self.streams:
                self.streams[name].counters = counters

    def _hear_source(self, message: ipc.StreamChanged, now: int) -> None:
        watch = self.streams.get(message.stream)
        if watch is None:
            raise EdgewardError(Code.WORKER_PROTOCOL, "news of a stream that is not configured")
        reason = None
        if message.code or message.what:
            text = f"{message.where}: {message.what}" if message.where else message.what
            reason = Reason(message.code, self._redactor(text), self._redactor(message.remedy))
        self._tell(message.stream, watch.source_changed(message, reason, now))

    def _hear_ready(self, message: ipc.Ready, now: int) -> None:
        self.ready = message
        for watch in self.streams.values():
            watch.worker_ready(now)
        log.info(
            "%s: %s %s runs on %s (%s), variant %s, loaded in %.0f ms, process %s",
            self.config.name,
            message.bundle,
            message.version,
            message.engine,
            message.provider,
            message.variant or "not named",
            message.load_ms,
            self.pid,
        )
        self._enter("running", None)
        self._commit = asyncio.create_task(self._raise_floors(self.pid))

    async def _raise_floors(self, pid: int | None) -> None:
        """What became ready counts as released here: nothing older of these names is taken any more."""
        refused = await self._shared.trust.commit(self.bundles.values())
        if refused is None:
            return
        reason = Reason(refused.code.text, self._text(refused), refused.remedy)
        log.error("%s: the rollback floor did not rise: %s", self.config.name, reason)
        if refused.code.exit_status is ExitStatus.BUNDLE_REFUSED and self.pid == pid:
            self._give_up(reason)

    def _give_up(self, reason: Reason) -> None:
        """Kill the worker; its end is then noticed by ``_serve``."""
        self._verdict = reason
        self.kill()

    async def _failed(self, reason: Reason) -> None:
        """Stay failed until a bundle, a key or a floor changes, or for a minute."""
        log.error("%s: %s%s", self.config.name, reason, f"; {reason.remedy}" if reason.remedy else "")
        self._verified_marks = None
        self._enter("failed", reason)
        # Of the files as they were before they were verified: what came since is to be looked at.
        until = time.monotonic() + self._limits.refused_retry
        while time.monotonic() < until:
            await asyncio.sleep(self._limits.look_for_bundle)
            if (self._marks(), self._shared.trust.floors_mark()) != self._looked_at:
                return

    def _marks(self) -> tuple[object, object]:
        return [mark(file) for file in self._files.values()], self._shared.trust.marks()

    def _enter(self, state: PipelineState, reason: Reason | None) -> None:
        if self.state != state:
            self.since_ns = time.monotonic_ns()
        self.state, self.reason = state, reason
        self._shared.listener.on_change(self)

    def _tell(self, name: str, change: Change | None) -> None:
        if change is None:
            return
        label = f"{self.config.name}/{name}"
        if change.state == "stalled":
            log.warning("%s stalled: no result for %.1f s: %s", label, change.seconds, change.reason)
        elif change.state == "running":
            log.info("%s runs: first result after %.1f s", label, change.seconds)
        elif change.state == "ended":
            log.info("%s ended", label)
        else:
            log.warning("%s %s: %s", label, change.state, change.reason or "no reason given")
        self._shared.listener.on_change(self)

    def _log_line(self, line: str) -> None:
        log.info("%s: worker: %s", self.config.name, self._redactor(line))

    def _text(self, error: EdgewardError) -> str:
        return self._redactor(f"{error.where}: {error.what}" if error.where else error.what)
