"""The agent: wires its parts together, lives until a signal, and leaves in order."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.link.clock import WallClock
from agent.link.composer import Composer
from agent.link.session import Session, Timing
from agent.link.topics import Topics
from agent.redact import Redactor
from agent.reporter import Reporter
from agent.state_lock import StateLock
from agent.systemd import Notifier
from agent.trust.ingest import ingest as verify_and_store
from agent.workers.pipeline import Limits
from agent.workers.process import COMMAND
from agent.workers.supervisor import Ingest, Supervisor
from runtime.errors import ExitStatus

log = logging.getLogger("agent")

LINK_STOP_S = 4.0
# The supervision loop passes four times a second; one that was away so long is stuck.
STUCK_S = 5.0


class Daemon:
    """One agent. ``run`` is its whole life."""

    def __init__(
        self,
        config: Config,
        redactor: Redactor,
        *,
        ingest: Ingest = verify_and_store,
        command: Sequence[str] = COMMAND,
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._config = config
        self._notifier = Notifier()
        self._loop = asyncio.get_running_loop()
        version = installed_version()
        clock = WallClock()
        topics = Topics(config.device.id)
        self._session = Session(
            config.mqtt,
            topics,
            Composer(clock),
            device=config.device.id,
            version=version,
            on_change=self._link_changed,
            timing=timing,
        )
        self._reporter = Reporter(config, self._session, topics, clock, version=version)
        self._supervisor = Supervisor(
            config,
            ingest=ingest,
            listener=self._reporter,
            redactor=redactor,
            limits=limits,
            command=command,
        )
        self._reporter.watch(self._supervisor.pipelines)
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Work until SIGTERM, SIGINT or SIGHUP; the returned number is the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._on_signal, number)
        for warning in self._config.warnings():
            log.warning("%s", warning)
        self._session.start()
        self._supervisor.start()
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._stop.wait(), name="stop"),
            asyncio.create_task(self._reporter.run_health(), name="health"),
            asyncio.create_task(self._reporter.run_metrics(), name="metrics"),
            asyncio.create_task(self._feed_watchdog(), name="watchdog"),
        ]
        self._notifier.ready()
        log.info("%s runs with %d pipelines", self._config.device.id, len(self._supervisor.pipelines))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await self._leave()
        return int(ExitStatus.OK if _ended_well(done) else ExitStatus.INTERNAL)

    async def _leave(self) -> None:
        self._notifier.stopping()
        began = time.monotonic()
        await self._supervisor.stop()
        self._reporter.publish_metrics()  # the counts to the last frame
        if not await asyncio.to_thread(self._session.stop, LINK_STOP_S):
            log.warning("the link did not end in time; the broker will publish the last will")
        log.info("stopped after %.1f s", time.monotonic() - began)
        self._notifier.close()

    async def _feed_watchdog(self) -> None:
        """Tell systemd that progress is made, and only then: a stuck agent is to be restarted."""
        pause = (self._notifier.watchdog_s or 10.0) / 2
        while True:
            behind_s = (time.monotonic_ns() - self._supervisor.last_pass_ns) / 1e9
            if behind_s < STUCK_S and self._session.alive:
                self._notifier.watchdog()
                self._notifier.status(f"health {self._reporter.health.state}")
            else:
                what = "the link thread has ended" if behind_s < STUCK_S else "supervision is stuck"
                log.critical("%s: the watchdog is not fed any more", what)
            await asyncio.sleep(pause)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            log.warning("%s again: killing the workers and leaving at once", number.name)
            self._supervisor.kill()
            os._exit(int(ExitStatus.INTERRUPTED))
        log.info("%s: stopping", number.name)
        self._stop.set()

    def _link_changed(self) -> None:
        """Called by the network thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._reporter.poke)


def run(config: Config, redactor: Redactor) -> int:
    """Run the agent of ``config`` in this process.

    Raises:
        EdgewardError: another agent uses the state folder, or it cannot be used at all.
    """
    with StateLock(Path(config.device.state_dir)):
        return asyncio.run(_run(config, redactor))


async def _run(config: Config, redactor: Redactor) -> int:
    return await Daemon(config, redactor).run()


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
