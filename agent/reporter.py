"""Turns what happens on the device into messages: results at once, health on change, metrics by the clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from agent.config import Config
from agent.control.detections import DetectionFeed
from agent.device import Chosen
from agent.device.governor import Governor
from agent.events import EventLog
from agent.health import metrics, openmetrics
from agent.health.facts import Facts, certificate_files
from agent.health.listener import MetricsListener
from agent.health.monitor import HealthMonitor
from agent.health.probe import Disk, Probe
from agent.health.settings import address_of
from agent.health.store import StoreRecheck, verifier
from agent.health.totals import Totals
from agent.link import messages
from agent.link.clock import WallClock
from agent.link.event import event, nothing_found
from agent.link.session import Session
from agent.link.topics import Topics
from agent.reload import Reloader
from agent.workers.pipeline import Pipeline
from agent.workers.reason import Reason
from agent.workers.stream_watch import StreamWatch
from runtime import ipc

# Facts that nobody announces (disk, memory) are looked at so often; changes of health at most so often.
LOOK_S = 2.0
SHORTEST_S = 0.2


class Reporter:
    """Listens to the pipelines and publishes. All of it runs on the event loop.

    ``facts`` is where parts of the agent that health looks at are named.
    """

    def __init__(
        self,
        config: Config,
        session: Session,
        topics: Topics,
        clock: WallClock,
        *,
        version: str,
        detections: DetectionFeed | None = None,
        events: EventLog | None = None,
    ) -> None:
        self.health = HealthMonitor(events=events)
        self._config = config
        self._session = session
        self._topics = topics
        self._clock = clock
        self._version = version
        self._pipelines: Mapping[str, Pipeline] = {}
        self._poked = asyncio.Event()
        self._detections = detections
        self._loop = asyncio.get_running_loop()
        self._probe = Probe(
            Path(config.device.state_dir),
            certificates=certificate_files(config),
            on_first=self._first_answers,
        )
        self.facts = Facts(config, session, clock, self._probe)
        self._totals = Totals()
        self._meter = metrics.MetricsMeter()
        self._inventory: messages.Inventory | None = None
        self._health_sent = 0.0
        self._began = time.monotonic()

    def watch(self, pipelines: Mapping[str, Pipeline]) -> None:
        """What to report on."""
        self._pipelines = pipelines

    def know(self, chosen: Chosen, governor: Governor, reloader: Reloader) -> None:
        """What else health looks at: the device's profile, and parts that are made after this one."""
        self.facts.chosen, self.facts.governor, self.facts.reloader = chosen, governor, reloader
        self._probe.drivers = chosen.profile.driver

    def configure(self, config: Config) -> None:
        """Take over ``[health]`` of another configuration."""
        self._config = config
        self.poke()

    def poke(self) -> None:
        """Something changed: look at health soon."""
        self._poked.set()

    def on_change(self, pipeline: Pipeline) -> None:  # noqa: ARG002 - of `Listener`
        """A pipeline or one of its streams changed."""
        self.poke()

    def on_result(self, pipeline: Pipeline, watch: StreamWatch, result: ipc.Result, now_ns: int) -> None:
        """Publish what became of a frame. "Nothing seen" is said as well, unless it was asked not to be."""
        if watch.failing:
            self.poke()
        config = pipeline.config
        if config.publish == "nonempty" and result.status == "detections" and nothing_found(result):
            return
        body = event(config.name, result, now_ns)
        if self._detections is not None:
            self._detections.offer(body, now_ns)
        self._session.publish(self._topics.detections(config.name), body, kind="event")

    async def run_health(self) -> None:
        """Look whenever something changed, and regularly; publish changes, and a sign of life."""
        self._probe.start()
        try:
            while True:
                self._poked.clear()
                self._look()
                await asyncio.sleep(SHORTEST_S)
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._poked.wait()
                except TimeoutError:
                    continue
        finally:
            self._probe.stop()

    async def run_metrics(self) -> None:
        """Publish the numbers of the moment."""
        while True:
            await asyncio.sleep(self._config.health.metrics_interval_s)
            self.publish_metrics()

    async def run_listener(self) -> None:
        """Let programs on this device read the figures, where that is wanted."""
        address = address_of(self._config.metrics.listen, where="metrics.listen")
        if address is None:
            await asyncio.Event().wait()
        else:
            await MetricsListener(address, self.openmetrics_page, self._listener_problem).run()

    async def run_recheck(self) -> None:
        """Verify the bundles in use where they lie, once a day; those in doubt sooner."""

        def in_use() -> list[str]:
            bundles = (bundle for item in self._pipelines.values() for bundle in item.bundles.values())
            return [bundle.digest for bundle in bundles]

        self.facts.recheck = StoreRecheck(in_use, verifier(self._config), self.poke, self._probe.marks)
        await self.facts.recheck.run()

    def publish_metrics(self) -> None:
        """Publish the numbers as they are now."""
        body = self._meter.body(
            self._pipelines,
            self._session.metrics(),
            disk=self.disk,
            celsius=max(self.facts.celsius.values(), default=None),
        )
        ttl_s = self._config.health.metrics_interval_s
        self._session.publish(self._topics.metrics, body, kind="metrics", qos=0, ttl_s=ttl_s)

    def openmetrics(self) -> str:
        """The figures as OpenMetrics text."""
        return self.openmetrics_page(openmetrics.OPENMETRICS)[0].decode()

    def openmetrics_page(self, form: str) -> tuple[bytes, str]:
        """The figures as text and its content type; ``form`` as of ``openmetrics.render``."""
        self._totals.see(self._pipelines)
        chosen, governor = self.facts.chosen, self.facts.governor
        return openmetrics.render(
            openmetrics.Snapshot(
                device=self._config.device.id,
                profile=chosen.profile.name if chosen else "",
                version=self._version,
                uptime_s=time.monotonic() - self._began,
                pipelines=self._pipelines,
                totals=self._totals,
                link=self._session.metrics(),
                connected=self._session.state.connected,
                health=self.health.body(self._clock),
                disk=self.disk,
                celsius=self.facts.celsius,
                governor_level=governor.state.level if governor else 0,
                governor_rate=governor.state.rate if governor else 1.0,
                now_ns=time.monotonic_ns(),
            ),
            form,
        )

    def disk_answered_s(self) -> float:
        """Monotonic time of the state folder's last answer, a refusal among them; only silence is none."""
        return self._probe.ended_s

    @property
    def disk(self) -> Disk:
        """The state folder's file system, as it answered last."""
        return self._probe.latest.disk if self._probe.latest else Disk()

    def _look(self) -> None:
        now = time.monotonic()
        self._totals.see(self._pipelines)
        changed = self.health.look(self.facts.view(self._pipelines), time.monotonic_ns())
        if changed or now - self._health_sent >= self._config.health.interval_s:
            self._health_sent = now
            body = self.health.body(self._clock)
            self._session.publish(self._topics.health, body, kind="health", retain=True)
        inventory = metrics.inventory(self._version, self._pipelines)
        if inventory != self._inventory:
            self._inventory = inventory
            self._session.publish(self._topics.inventory, inventory, kind="inventory", retain=True)

    def _listener_problem(self, problem: Reason | None) -> None:
        if problem != self.facts.metrics_problem:
            self.facts.metrics_problem = problem
            self.poke()

    def _first_answers(self) -> None:
        """Called by the probe's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self.poke)
