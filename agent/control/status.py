"""What the agent knows, as messages: status, health, metrics."""

from __future__ import annotations

import os
import time

import psutil

from agent.control import control_pb2 as pb
from agent.control.parts import Parts
from agent.health import metrics
from agent.health.device_figures import pss_mb
from agent.link.messages import CheckResult
from agent.workers.pipeline import Pipeline
from agent.workers.reason import Reason
from agent.workers.stream_watch import StreamWatch
from runtime.redact import redact

# Reading the agent's own smaps costs milliseconds; a status that is watched asks several times a second.
_MEMORY_EVERY_S = 5.0


class StatusReport:
    """Makes the messages. Nothing in it waits."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pss_mb: float = 0.0
        self._pss_at = float("-inf")
        psutil.cpu_percent()  # the first call starts the measurement

    def status(self) -> pb.Status:
        """Everything that one screen shows."""
        parts, now_ns = self._parts, time.monotonic_ns()
        reloader = parts.reloader
        return pb.Status(
            device=self._device(),
            link=self._link(now_ns),
            pipelines=[self.pipeline(item, now_ns) for item in parts.supervisor.pipelines.values()],
            health=self.health(),
            governor=self._governor(),
            version=parts.version,
            pid=os.getpid(),
            uptime_s=(now_ns - parts.started_ns) / 1e9,
            draining=parts.supervisor.draining,
            config_file=str(reloader.path),
            config_loaded_ms=parts.clock.at_ms(reloader.loaded_ns),
            config_problem=_problem(reloader.problem),
            agent_pss_mb=self._own_memory(),
        )

    def health(self) -> pb.Health:
        """What the checks say."""
        body = self._parts.reporter.health.body(self._parts.clock)
        checks = [_check(item) for item in body.checks]
        return pb.Health(state=body.state, summary=getattr(body, "summary", ""), checks=checks)

    def pipeline(self, item: Pipeline, now_ns: int | None = None) -> pb.Pipeline:
        """One pipeline as it is."""
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        serve = item.config.serve
        return pb.Pipeline(
            name=item.config.name,
            state=item.state,
            for_s=(now_ns - item.since_ns) / 1e9,
            problem=_problem(item.reason),
            pid=item.pid or 0,
            restarts=item.restarts,
            last_end=str(item.last_end or ""),
            bundles=_bundles(item),
            streams=[_stream(name, watch, now_ns) for name, watch in item.streams.items()],
            memory_mb=item.pss_mb,
            memory_limit_mb=item.memory_limit_mb or 0.0,
            cpu_percent=item.cpu_percent,
            last_lines=item.last_lines,
            inference_api=serve.listen if serve is not None else "",
        )

    def _device(self) -> pb.Device:
        parts = self._parts
        facts = metrics.inventory(parts.version, {})
        memory = psutil.virtual_memory()
        free_mb = parts.reporter.disk.free_mb
        readings = parts.governor.readings.temperatures
        temperatures = [item.celsius for item in readings if item.celsius is not None]
        return pb.Device(
            id=parts.reloader.config.device.id,
            profile=parts.chosen.profile.name,
            profile_title=parts.chosen.profile.title,
            profile_source=parts.chosen.source,
            os=facts.os,
            kernel=facts.kernel,
            machine=facts.machine,
            cpu=facts.cpu,
            cpu_count=facts.cpu_count,
            memory_mb=facts.memory_mb,
            cpu_percent=psutil.cpu_percent(),
            memory_percent=memory.percent,
            disk_free_mb=free_mb,
            temperature_c=max(temperatures, default=None),
            clock_synchronised=parts.clock.synchronised(),
        )

    def _link(self, now_ns: int) -> pb.Link:
        session, mqtt = self._parts.session, self._parts.reloader.config.mqtt
        state, counts = session.state, session.metrics()
        fault = state.fault
        return pb.Link(
            connected=state.connected,
            address=f"{mqtt.host}:{mqtt.port}",
            for_s=(now_ns - state.since_ns) / 1e9,
            problem=pb.Problem(code=fault.code, text=fault.text, remedy=fault.remedy) if fault else None,
            queued_bytes=counts.queued_bytes,
            connects=counts.connects,
            dropped=sum(sum(kind.dropped.values()) for kind in counts.kinds.values()),
        )

    def _governor(self) -> pb.Governor:
        state = self._parts.governor.state
        return pb.Governor(
            active=state.active, level=state.level, rate=state.rate, reasons=list(state.reasons)
        )

    def _own_memory(self) -> float:
        now = time.monotonic()
        if now - self._pss_at >= _MEMORY_EVERY_S:
            self._pss_at, self._pss_mb = now, pss_mb() or 0.0
        return self._pss_mb


def _problem(reason: Reason | None) -> pb.Problem | None:
    if reason is None:
        return None
    return pb.Problem(code=reason.code, text=reason.text, remedy=reason.remedy)


def _check(item: CheckResult) -> pb.Check:
    return pb.Check(
        id=item.id,
        subject=item.subject,
        severity=item.severity,
        code=item.code,
        text=item.text,
        remedy=item.remedy,
        since_ms=item.since,
        docs=getattr(item, "docs", item.id),
    )


def _bundles(item: Pipeline) -> list[pb.BundleRun]:
    ready = item.ready
    found = []
    for stage, bundle in item.bundles.items():
        runs = ready.stages.get(stage) if ready and stage else ready
        found.append(
            pb.BundleRun(
                stage=stage,
                name=bundle.name,
                version=bundle.version,
                release_counter=bundle.release_counter,
                digest=bundle.digest,
                variant=runs.variant if runs else "",
                engine=runs.engine if runs else "",
                provider=runs.provider if runs else "",
                quarantined=_problem(item.quarantine.get(stage)),
            )
        )
    return found


def _stream(name: str, watch: StreamWatch, now_ns: int) -> pb.Stream:
    counters = watch.counters
    age_ns = now_ns - watch.last_result_ns if watch.last_result_ns is not None else None
    return pb.Stream(
        name=name,
        state=watch.state,
        for_s=(now_ns - watch.since_ns) / 1e9,
        problem=_problem(watch.reason),
        url=redact(watch.config.url),
        codec=watch.codec,
        width=watch.width,
        height=watch.height,
        fps=watch.recent.per_second(now_ns),
        max_fps=watch.config.max_fps,
        latency_p50_ms=watch.latency.quantile(0.5, now_ns),
        latency_p95_ms=watch.latency.quantile(0.95, now_ns),
        latency_p99_ms=watch.latency.quantile(0.99, now_ns),
        results=watch.results,
        failed=counters.failed,
        dropped=sum(counters.dropped.values()),
        reconnects=counters.reconnects,
        last_result_age_s=age_ns / 1e9 if age_ns is not None else None,
    )
