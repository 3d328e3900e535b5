"""The agent: wires its parts together, lives until a signal, and leaves in order."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib.metadata
import logging
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent import device, heap, logs
from agent.config import Config
from agent.control.detections import DetectionFeed
from agent.control.parts import Parts
from agent.control.server import ControlServer
from agent.control.service import ControlService
from agent.device.governor import Governor
from agent.events import EventLog
from agent.health.probe import LIMIT_S
from agent.link.clock import WallClock
from agent.link.composer import Composer
from agent.link.session import Session, Timing
from agent.link.topics import Topics
from agent.redact import Redactor
from agent.reload import Reloader
from agent.reporter import Reporter
from agent.state_lock import StateLock
from agent.systemd import Notifier
from agent.trust.ingest import ingest as verify_and_store
from agent.watchdog import Part, Watchdog
from agent.workers.pipeline import Limits
from agent.workers.process import COMMAND
from agent.workers.supervisor import Ingest, Supervisor
from runtime.errors import EdgewardError, ExitStatus

log = logging.getLogger("agent")

LINK_STOP_S = 4.0
# How old the last full turn of a part may be before the watchdog is not fed any more. Supervision goes round
# four times a second. The link's thread may wait half a minute for a name server, and as long between tries.
SUPERVISION_LIMIT_S = 5.0
LINK_LIMIT_S = 120.0
# A stop that takes longer than usual asks for more time, so often; then systemd may kill what is left.
USUAL_STOP_S = 10.0
MORE_TIMES = 3


class Daemon:
    """One agent; ``path`` is the file that ``config`` was read from. ``run`` is its whole life."""

    def __init__(
        self,
        config: Config,
        redactor: Redactor,
        *,
        path: Path,
        ingest: Ingest = verify_and_store,
        command: Sequence[str] = COMMAND,
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._config = config
        self._notifier = Notifier()
        self._loop = asyncio.get_running_loop()
        self._events = EventLog()
        self._clock = WallClock()
        self._detections = DetectionFeed()
        self._make_link(timing)
        self._supervisor = Supervisor(
            config,
            ingest=ingest,
            listener=self._reporter,
            redactor=redactor,
            limits=limits,
            command=command,
            events=self._events,
        )
        self._reporter.watch(self._supervisor.pipelines)
        self._make_control(path, redactor)
        self._watchdog = Watchdog(self._notifier, self._progress(), self._status)
        self._stop = asyncio.Event()
        self._leaving = False
        self._reloads: set[asyncio.Task[None]] = set()

    def _make_link(self, timing: Timing | None) -> None:
        """The session with the broker, and who tells it what to say."""
        config, version = self._config, installed_version()
        topics = Topics(config.device.id)
        self._session = Session(
            config.mqtt,
            topics,
            Composer(self._clock),
            device=config.device.id,
            version=version,
            on_change=self._link_changed,
            timing=timing,
        )
        self._reporter = Reporter(
            config,
            self._session,
            topics,
            self._clock,
            version=version,
            detections=self._detections,
            events=self._events,
        )

    def _make_control(self, path: Path, redactor: Redactor) -> None:
        """What steers the pipelines: the governor, the reloader, and the control socket."""
        config, supervisor = self._config, self._supervisor
        chosen = supervisor.board
        _tell_board(chosen)
        self._governor = Governor(config.governor, chosen.profile, supervisor.pipelines.values, self._events)
        self._reloader = Reloader(
            path,
            config,
            supervisor,
            events=self._events,
            redactor=redactor,
            takers={
                "log": _apply_log,
                "health": self._reporter.configure,
                "governor": lambda new: self._governor.configure(new.governor),
            },
            turns=self._reload_turns,
            profile=chosen.profile,
        )
        self._reporter.know(chosen, self._governor, self._reloader)
        parts = Parts(
            supervisor=supervisor,
            session=self._session,
            reporter=self._reporter,
            reloader=self._reloader,
            governor=self._governor,
            chosen=chosen,
            events=self._events,
            detections=self._detections,
            recent=handler.recent if (handler := logs.installed()) else logs.Recent(),
            clock=self._clock,
            redactor=redactor,
            metrics=self._reporter.openmetrics,
            version=installed_version(),
            started_ns=time.monotonic_ns(),
        )
        service = ControlService(parts)
        self._control = ControlServer(config.control, service, events=self._events, redactor=redactor)

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT; the returned number is the exit status. SIGHUP reloads."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._on_signal, number)
        for warning in self._config.warnings():
            log.warning("%s", warning)
        # Before anything runs: what is wrong with the socket ends the agent.
        await self._control.start()
        self._session.start()
        self._supervisor.start()
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._stop.wait(), name="stop"),
            asyncio.create_task(self._tell_ready(), name="start"),
            asyncio.create_task(self._reporter.run_health(), name="health"),
            asyncio.create_task(self._reporter.run_metrics(), name="metrics"),
            asyncio.create_task(self._reporter.run_listener(), name="metrics listener"),
            asyncio.create_task(self._reporter.run_recheck(), name="store check"),
            asyncio.create_task(self._governor.run(), name="governor"),
            asyncio.create_task(self._watchdog.run(), name="watchdog"),
            asyncio.create_task(heap.keep_trimmed(), name="heap"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await self._leave()
        return int(ExitStatus.OK if _ended_well(done) else ExitStatus.INTERNAL)

    async def _tell_ready(self) -> None:
        """Once supervision has looked at every pipeline: only then the service is up."""
        await self._supervisor.went_round.wait()
        self._notifier.ready()
        log.info("%s runs with %d pipelines", self._config.device.id, len(self._supervisor.pipelines))
        await asyncio.Event().wait()  # a part that ends is one that broke

    async def _leave(self) -> None:
        self._leaving = True
        self._notifier.stopping()
        began = time.monotonic()
        for reload in self._reloads:
            reload.cancel()
        await asyncio.gather(*self._reloads, return_exceptions=True)
        more = asyncio.create_task(self._ask_for_time(), name="more time")
        await self._control.stop()
        await self._supervisor.stop()
        self._reporter.publish_metrics()  # the counts to the last frame
        if not await asyncio.to_thread(self._session.stop, LINK_STOP_S):
            log.warning("the link did not end in time; the broker will publish the last will")
        more.cancel()
        log.info("stopped after %.1f s", time.monotonic() - began)
        self._notifier.close()

    async def _ask_for_time(self) -> None:
        """A worker that is asked to end may be writing, or deep in a driver: better late than torn."""
        for _ in range(MORE_TIMES):
            await asyncio.sleep(USUAL_STOP_S)
            log.warning("the stop takes longer than usual: asking systemd for %.0f s more", 2 * USUAL_STOP_S)
            self._notifier.extend(2 * USUAL_STOP_S)

    def _progress(self) -> tuple[Part, ...]:
        """What must make progress for the watchdog to be fed."""
        supervisor, session = self._supervisor, self._session
        return (
            Part(name="supervision", limit_s=SUPERVISION_LIMIT_S, turned=lambda: supervisor.rounds),
            Part(
                name="the link",
                limit_s=LINK_LIMIT_S,
                turned=lambda: session.turned if session.alive else float("-inf"),
            ),
            Part(name="the state folder", limit_s=LIMIT_S, turned=self._reporter.disk_answered_s),
        )

    def _status(self) -> str:
        """``3 of 4 pipelines run; health degraded``, for ``systemctl status``."""
        pipelines = self._supervisor.pipelines.values()
        run = sum(pipeline.state == "running" for pipeline in pipelines)
        return f"{run} of {len(pipelines)} pipelines run; health {self._reporter.health.state}"

    def _reload_turns(self, begins: bool) -> None:
        if begins:
            self._notifier.reloading()
        elif not self._leaving:
            self._notifier.ready()

    async def _reload(self) -> None:
        with contextlib.suppress(EdgewardError):  # said already; what was in force still is
            await self._reloader.reload()

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            if self._leaving or self._stop.is_set():
                log.info("SIGHUP: the agent is stopping, nothing is read")
                return
            log.info("SIGHUP: reading the configuration again")
            task = asyncio.create_task(self._reload(), name="reload")
            self._reloads.add(task)
            task.add_done_callback(self._reload_ended)
            return
        if self._stop.is_set():
            log.warning("%s again: killing the workers and leaving at once", number.name)
            self._supervisor.kill()
            logging.shutdown()  # the last lines are still with the thread that writes them
            os._exit(int(ExitStatus.INTERRUPTED))
        log.info("%s: stopping", number.name)
        self._stop.set()

    def _reload_ended(self, task: asyncio.Task[None]) -> None:
        self._reloads.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a defect in edgeward: the reload broke off", exc_info=error)

    def _link_changed(self) -> None:
        """Called by the network thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._reporter.poke)


def run(config: Config, redactor: Redactor, *, path: Path) -> int:
    """Run the agent of ``config``, which was read from ``path``, in this process.

    Raises:
        EdgewardError: another agent uses the state folder, or it cannot be used at all.
    """
    # When the watchdog or a fault ends it, the journal says where each thread was.
    with contextlib.suppress(RuntimeError, ValueError, OSError):  # there is no stderr to say it on
        faulthandler.enable()
    heap.keep_together()
    with StateLock(Path(config.device.state_dir)):
        return asyncio.run(_run(config, redactor, path))


async def _run(config: Config, redactor: Redactor, path: Path) -> int:
    return await Daemon(config, redactor, path=path).run()


def _tell_board(chosen: device.Chosen) -> None:
    log.info("the profile of this board is %s (%s)", chosen.profile.name, chosen.source)
    if chosen.warning:
        log.warning("%s", chosen.warning)


def _apply_log(config: Config) -> None:
    handler = logs.installed()
    if handler is not None:
        logs.apply(handler, config.log)


def installed_version() -> str:
    """The version of edgeward that is installed; ``0`` in a checkout that is not."""
    try:
        return importlib.metadata.version("edgeward")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _ended_well(done: set[asyncio.Task[Any]]) -> bool:
    """Whether it was the signal that ended the wait, and not a part that broke."""
    well = True
    for task in done:
        if task.get_name() != "stop":
            well = False
            error = None if task.cancelled() else task.exception()
            log.critical("the part %s broke: %r", task.get_name(), error, exc_info=error)
    return well
