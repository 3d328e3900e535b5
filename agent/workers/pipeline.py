"""One pipeline: its bundles are verified, its worker runs, and is started again whenever it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from agent import config as schema
from agent.backoff import Backoff
from agent.preflight.gate import Passed
from agent.workers import changes, confinement, cores
from agent.workers.aftermath import Aftermath
from agent.workers.bundle_choice import BundleChoice
from agent.workers.bundle_supply import BundleSupply
from agent.workers.life import Life, Told
from agent.workers.limits import Limits
from agent.workers.memory import MemoryState, automatic_limit_mb
from agent.workers.preflight import all_passed
from agent.workers.reason import Reason
from agent.workers.shared import Listener, Shared
from agent.workers.start_message import engine_options, start_message
from agent.workers.stream_watch import Change, StreamWatch, watches
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError, ExitStatus

__all__ = ["Limits", "Listener", "Pipeline", "PipelineState", "Shared"]

log = logging.getLogger("pipeline")

PipelineState = Literal[
    "verifying", "preflight", "starting", "running", "backoff", "quarantined", "failed", "stopped"
]
ANSWER_S = 5.0
# ``tick`` comes four times a second. When it did not for so long, the agent itself was held up, and what the
# worker said meanwhile has not been heard yet.
HELD_UP_NS = 1_000_000_000
_BY_OPERATOR = Reason("", "stopped on request", "start it again with 'edgeward pipelines start'")


class Pipeline:
    """Runs as one task (``run``); ``tick`` is called by the supervisor several times a second.

    Attributes:
        bundles: those that were verified, all or none, by name of the stage; the first model has none: "".
        lives: how many workers it has had, with the present one.
        last_end: why its last worker ended badly, ``last_end_ns`` when, ``last_lines`` what it had printed.
        memory: what its worker takes and may take.
    """

    def __init__(self, config: schema.Pipeline, shared: Shared) -> None:
        now = time.monotonic_ns()
        self.config = config
        self.state: PipelineState = "verifying"
        self.since_ns = now
        self.reason: Reason | None = None
        self.lives = 0
        self.restarts = 0
        self.last_end: Reason | None = None
        self.last_end_ns = 0
        self.last_lines: list[str] = []
        self.streams: dict[str, StreamWatch] = {}
        self.rate = 1.0
        self.memory = MemoryState()
        self._shared = shared
        self._life: Life | None = None
        self._good = False
        self._ticked_ns = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._turned = asyncio.Event()
        self.configure(config, shared)

    def configure(self, config: schema.Pipeline, shared: Shared, choice: BundleChoice | None = None) -> None:
        """Take over another configuration, while no worker runs; streams that stay keep their counts.

        ``choice`` is what is known of its bundles; ``None`` reads it from the disk.
        """
        now = time.monotonic_ns()
        self.config, self._shared = config, shared
        self.streams = watches(self.streams, config.stream, now, self.rate, shared.limits.silence)
        self._engines = engine_options(config, shared.engine, shared.profile, shared.inference_cpus)
        files = {"": Path(config.bundle)} | {stage.name: Path(stage.bundle) for stage in config.stage}
        self.supply = BundleSupply(
            config.name,
            files,
            shared.verify,
            shared.trust,
            shared.records,
            fall_back=shared.supervision.fall_back,
            choice=choice,
        )
        self._backoff = Backoff(shared.limits.first_restart, shared.limits.slowest_restart)
        self._trials = Backoff(shared.limits.quarantine_retry, 6 * shared.limits.quarantine_retry)
        self._trial_at: float | None = None
        self._scratch = shared.state_dir / "scratch" / config.name
        self._aftermath = Aftermath(config.name, shared, self.supply, self._scratch)

    @property
    def pid(self) -> int | None:
        """The worker's process id, while it lives."""
        return self._life.pid if self._life is not None else None

    @property
    def bundles(self) -> dict[str, Ingested]:
        """By name of the stage, those that were verified."""
        return self.supply.bundles

    @property
    def quarantine(self) -> dict[str, Reason]:
        """By name of the stage, why the bundle that should run does not."""
        return self.supply.quarantine

    @property
    def ready(self) -> ipc.Ready | None:
        """What the present worker said when it was ready."""
        return self._life.ready if self._life is not None else None

    @property
    def metrics(self) -> ipc.Metrics | None:
        """What the present worker said last."""
        return self._life.metrics if self._life is not None else None

    @property
    def pss_mb(self) -> float | None:
        """Memory of the worker and its children, as last measured (proportional set size, MB)."""
        return self.memory.pss_mb if self.pid is not None else None

    @property
    def cpu_percent(self) -> float:
        """What the worker took of one processor over the last second or so."""
        return self._life.cpu_percent if self._life is not None and self.pid is not None else 0.0

    @property
    def memory_limit_mb(self) -> float:
        """What they may take, in MB."""
        return self.memory.limit_mb

    async def run(self) -> None:
        """Verify, try, run, and run again, until cancelled. Nothing that goes wrong in it leaves it."""
        while True:
            try:
                bundles = await self.supply.verified()
                self._aftermath.count_for([bundle.digest for bundle in bundles.values()])
                passed = await all_passed(
                    self.config,
                    self._shared,
                    self._engines,
                    bundles,
                    scratch=self._scratch,
                    on_start=lambda: self._enter("preflight", None),
                )
                life = await self._live(bundles, passed)
            except EdgewardError as error:
                await self._failed(Reason(error.code.text, self._text(error), error.remedy))
                continue
            except OSError as error:
                await self._failed(Reason(Code.SYSTEM_IO.text, self._shared.redactor(str(error))))
                continue
            except Exception as error:
                log.exception("%s: a defect in edgeward", self.config.name)
                await self._failed(Reason(Code.INTERNAL.text, f"{type(error).__name__}", "please report it"))
                continue
            if life.in_order:
                self._enter("stopped", life.verdict)
                return
            self._enter("backoff", await self._judge(life))
            await asyncio.sleep(self._backoff.next_delay())

    def begin(self) -> None:
        """It is about to ``run``: who waits for a state from now on waits for one of this run."""
        for watch in self.streams.values():
            watch.begun(time.monotonic_ns())
        self._enter("verifying", None)

    @property
    def stopped_on_request(self) -> bool:
        """Whether a person stopped it, so that only a person may start it."""
        return self.state == "stopped" and self.reason is _BY_OPERATOR

    async def stop(self, *, by_operator: bool = False) -> None:
        """End the worker in order; ``run`` must have been left to finish by itself or be cancelled after."""
        if self._life is not None:
            await self._life.stop(self._shared.limits.stop_grace)
        if by_operator:
            self._enter("stopped", _BY_OPERATOR)
            for name, watch in self.streams.items():
                self._tell(name, watch.stopped(_BY_OPERATOR, time.monotonic_ns()))

    def kill(self) -> None:
        """End the worker now."""
        if self._life is not None:
            self._life.kill()

    def give_up(self, reason: Reason) -> None:
        """Kill the worker, for this reason; it is started again."""
        if self._life is not None and self.pid is not None and self._life.verdict is None:
            self._life.give_up(reason)

    def tick(self, now_ns: int) -> None:
        """Notice what did not happen: a worker that is silent, streams without results."""
        late_ns, self._ticked_ns = now_ns - self._ticked_ns, now_ns
        if late_ns > HELD_UP_NS:
            if self._life is not None:
                self._life.excuse(late_ns, now_ns)
            return
        waiting_for = None if self.state == "running" else self.reason or self.last_end
        for name, watch in self.streams.items():
            self._tell(name, watch.tick(now_ns, waiting_for))
        life = self._life
        if life is None:
            return
        life.tick(now_ns)
        if life.pid is None or life.verdict is not None or life.in_order:
            return
        if why := self.supply.withdrawn(now_ns):
            life.give_up(Reason(Code.BUNDLE_UNTRUSTED_KEY.text, why))
        elif not self._good and self._ran_for_s(life, now_ns) > self._shared.supervision.calm_after_s:
            self._good = True
            self._spawn(self._ran_well(life))

    def set_rate(self, factor: float) -> None:
        """Look at so much of what the streams give (over 0, up to 1), also after a restart of the worker."""
        self.rate = factor
        for watch in self.streams.values():
            watch.follow_rate(factor)
        if self._life is not None:
            self._life.send(ipc.SetRate(factor=factor))

    async def ask(self, request: ipc.Request, timeout_s: float = ANSWER_S) -> ipc.Reply:
        """Ask the worker, and wait for its reply.

        Raises:
            EdgewardError: ``CONTROL_STATE`` when no worker runs; as ``Requests.ask``.
        """
        if self._life is None or self.state != "running":
            what = f"the pipeline is {self.state}"
            remedy = self.reason.remedy if self.reason and self.reason.remedy else "wait until it runs"
            raise EdgewardError(Code.CONTROL_STATE, what, where=self.config.name, remedy=remedy)
        return await self._life.ask(request, timeout_s)

    async def wait_for(self, states: Collection[PipelineState], timeout_s: float) -> bool:
        """Wait until it is in one of ``states``; False when it is not within ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.state not in states:
                    self._turned.clear()
                    await self._turned.wait()
        except TimeoutError:
            return False
        return True

    async def _live(self, bundles: dict[str, Ingested], passed: Mapping[str, Passed]) -> Life:
        """One life of a worker, which is over when this returns."""
        shared, name = self._shared, self.config.name
        await asyncio.to_thread(cores.empty, self._scratch)
        rights = confinement.rights(self.config, shared, bundles.values(), self._scratch)
        start = start_message(self.config, self._engines, bundles, passed, shared.redactor, rights)
        told = Told(ready=self._became_ready, result=self._result, changed=self._tell, line=self._log_line)
        life = self._life = Life(self.config, self.streams, told, shared.redactor)
        self.lives += 1
        self._good = False
        self.memory = MemoryState(limit_mb=automatic_limit_mb(self.config, None, shared.headroom_mb))

        def started(pid: int) -> None:
            shared.shares.give(name, pid, self.config.weight)
            shared.shares.limit_memory(name, self.memory.limit_mb)
            self._enter("starting", None)

        try:
            await life.run(
                start,
                command=shared.command,
                folder=self._scratch,
                on_start=started,
                grace_s=shared.limits.stop_grace,
            )
        finally:
            shared.shares.ended(name)
        return life

    async def _judge(self, life: Life) -> Reason:
        """See to what a worker left that ended badly; returns why it ended."""
        verdict = life.verdict or Reason(Code.INTERNAL.text, "its worker ended for no known reason")
        now = time.monotonic_ns()
        self.restarts += 1
        self.last_end, self.last_end_ns, self.last_lines = verdict, now, life.last_lines
        given_up = await self._aftermath.of(life, verdict, now)
        if given_up:
            self._trial_at = None
        if given_up or self._ran_for_s(life, now) > self._shared.supervision.calm_after_s:
            self._backoff.reset()
        return verdict

    def _became_ready(self, message: ipc.Ready) -> None:
        life = self._life
        assert life is not None  # noqa: S101 - it is what told us
        self.memory.limit_mb = automatic_limit_mb(self.config, message, self._shared.headroom_mb)
        self._shared.shares.limit_memory(self.config.name, self.memory.limit_mb)
        changes.tell_ready(self.config.name, message, self.pid, self.supply, self._shared.events)
        if self.rate != 1.0:
            life.send(ipc.SetRate(factor=self.rate))
        self._enter("running", None)
        self._spawn(self._raise_floors(life))

    def _result(self, watch: StreamWatch, result: ipc.Result, now_ns: int) -> None:
        self._shared.listener.on_result(self, watch, result, now_ns)

    async def _raise_floors(self, life: Life) -> None:
        """What became ready counts as released here: nothing older of these names is taken any more."""
        refused = await self.supply.commit()
        if refused is None:
            return
        reason = Reason(refused.code.text, self._text(refused), refused.remedy)
        log.error("%s: the rollback floor did not rise: %s", self.config.name, reason)
        if refused.code.exit_status is ExitStatus.BUNDLE_REFUSED and self._life is life:
            self.give_up(reason)

    async def _failed(self, reason: Reason) -> None:
        """Stay failed until a bundle, a key or a floor changes, or for a minute; in quarantine for longer."""
        log.error("%s: %s%s", self.config.name, reason, f"; {reason.remedy}" if reason.remedy else "")
        self.supply.verify_anew()
        state: PipelineState = "failed"
        # Of the files as they were before they were verified: what came since is to be looked at.
        until = time.monotonic() + self._shared.limits.refused_retry
        if reason.code == Code.BUNDLE_QUARANTINED.text:
            state = "quarantined"
            if self._trial_at is None:
                self._trial_at = time.monotonic() + self._trials.next_delay()
            until = self._trial_at
            reason = replace(reason, text=f"{reason.text}; it will be tried again at {_clock(until)}")
        if (self.state, self.reason) != (state, reason):
            changes.tell_failed(self.config.name, state, reason, self._shared.events)
        self._enter(state, reason)
        while time.monotonic() < until:
            await asyncio.sleep(self._shared.limits.look_for_bundle)
            if self.supply.changed():
                return
        if state == "quarantined":
            # A site must not stay dark for a bad hour, which may have been a camera's.
            self._trial_at = None
            self.supply.try_again()

    async def _ran_well(self, life: Life) -> None:
        freed = await self.supply.ran_well(_variants(life.ready))
        self._trials.reset()
        changes.tell_freed(
            self.config.name, freed, "it ran well when it was tried again", self._shared.events
        )

    def _ran_for_s(self, life: Life, now_ns: int) -> float:
        return (now_ns - life.progress_from_ns) / 1e9 if life.progress_from_ns is not None else 0.0

    def _enter(self, state: PipelineState, reason: Reason | None) -> None:
        if self.state != state:
            self.since_ns = time.monotonic_ns()
        self.state, self.reason = state, reason
        self._turned.set()
        self._shared.listener.on_change(self)

    def _tell(self, name: str, change: Change | None) -> None:
        if change is None:
            return
        changes.tell(self.config.name, name, change, self._shared.events)
        self._shared.listener.on_change(self)

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _log_line(self, line: str) -> None:
        name = self.config.name
        log.info("%s: worker: %s", name, self._shared.redactor(line), extra={"pipeline": name})

    def _text(self, error: EdgewardError) -> str:
        return self._shared.redactor(f"{error.where}: {error.what}" if error.where else error.what)


def _clock(at: float) -> str:
    """The time of day, in UTC, of a monotonic time."""
    return time.strftime("%H:%M UTC", time.gmtime(time.time() + at - time.monotonic()))


def _variants(ready: ipc.Ready | None) -> dict[str, str]:
    """By stage, what the worker said that it runs."""
    if ready is None:
        return {}
    return {"": ready.variant} | {name: stage.variant for name, stage in ready.stages.items()}
