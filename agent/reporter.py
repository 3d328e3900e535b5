"""Turns what happens on the device into messages: results at once, health on change, metrics by the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from agent.config import Config
from agent.health import metrics
from agent.health.monitor import HealthMonitor
from agent.health.view import LinkFacts, PipelineFacts, StreamFacts, View
from agent.link import messages
from agent.link.clock import WallClock
from agent.link.event import event, nothing_found
from agent.link.session import Session
from agent.link.topics import Topics
from agent.workers.pipeline import Pipeline
from agent.workers.stream_watch import StreamWatch
from runtime import ipc

# Facts that nobody announces (disk, memory) are looked at so often; changes of health at most so often.
LOOK_S = 2.0
SHORTEST_S = 0.2


class Reporter:
    """Listens to the pipelines and publishes. All of it runs on the event loop."""

    def __init__(
        self, config: Config, session: Session, topics: Topics, clock: WallClock, *, version: str
    ) -> None:
        self.health = HealthMonitor()
        self._config = config
        self._session = session
        self._topics = topics
        self._clock = clock
        self._version = version
        self._pipelines: Mapping[str, Pipeline] = {}
        self._poked = asyncio.Event()
        self._state_dir = Path(config.device.state_dir)
        self._meter = metrics.MetricsMeter(self._state_dir)
        self._inventory: messages.Inventory | None = None
        self._health_sent = 0.0

    def watch(self, pipelines: Mapping[str, Pipeline]) -> None:
        """What to report on."""
        self._pipelines = pipelines

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
        self._session.publish(self._topics.detections(config.name), body, kind="event")

    async def run_health(self) -> None:
        """Look whenever something changed, and regularly; publish changes, and a sign of life."""
        while True:
            self._poked.clear()
            self._look()
            await asyncio.sleep(SHORTEST_S)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def run_metrics(self) -> None:
        """Publish the numbers of the moment."""
        interval = self._config.health.metrics_interval_s
        while True:
            await asyncio.sleep(interval)
            self.publish_metrics()

    def publish_metrics(self) -> None:
        """Publish the numbers as they are now."""
        body = self._meter.body(self._pipelines, self._session.metrics())
        ttl_s = self._config.health.metrics_interval_s
        self._session.publish(self._topics.metrics, body, kind="metrics", qos=0, ttl_s=ttl_s)

    def _look(self) -> None:
        now = time.monotonic()
        changed = self.health.look(self.view(), time.monotonic_ns())
        if changed or now - self._health_sent >= self._config.health.interval_s:
            self._health_sent = now
            body = self.health.body(self._clock)
            self._session.publish(self._topics.health, body, kind="health", retain=True)
        inventory = metrics.inventory(self._version, self._pipelines)
        if inventory != self._inventory:
            self._inventory = inventory
            self._session.publish(self._topics.inventory, inventory, kind="inventory", retain=True)

    def view(self) -> View:
        """The facts that the checks judge."""
        free, total = metrics.disk_mb(self._state_dir)
        memory = psutil.virtual_memory()
        return View(
            link=self._link_facts(),
            pipelines={name: _pipeline_facts(item) for name, item in self._pipelines.items()},
            state_dir=str(self._state_dir),
            disk_free_mb=free,
            disk_total_mb=total,
            memory_free_percent=100.0 * memory.available / memory.total,
            pressure_percent=metrics.memory_pressure_percent(),
        )

    def _link_facts(self) -> LinkFacts:
        state = self._session.state
        fault = state.fault
        return LinkFacts(
            connected=state.connected,
            address=f"{self._config.mqtt.host}:{self._config.mqtt.port}",
            code=fault.code if fault else "",
            reason=fault.text if fault else "",
            remedy=fault.remedy if fault else "",
            refused_topic=state.refused_topic,
        )


def _pipeline_facts(pipeline: Pipeline) -> PipelineFacts:
    reason, last = pipeline.reason, pipeline.last_end
    now_ns = time.monotonic_ns()
    return PipelineFacts(
        state=pipeline.state,
        age_s=(now_ns - pipeline.since_ns) / 1e9,
        code=reason.code if reason else "",
        reason=reason.text if reason else "",
        remedy=reason.remedy if reason else "",
        last_end=last.text if last else "",
        last_end_code=last.code if last else "",
        last_end_age_s=(now_ns - pipeline.last_end_ns) / 1e9 if last else None,
        streams={name: _stream_facts(watch) for name, watch in pipeline.streams.items()},
    )


def _stream_facts(watch: StreamWatch) -> StreamFacts:
    reason = watch.reason
    return StreamFacts(
        state=watch.state,
        code=reason.code if reason else "",
        reason=reason.text if reason else "",
        remedy=reason.remedy if reason else "",
        failing=watch.failing,
    )
