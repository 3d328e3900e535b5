"""The families of metrics, by what they are about; in base units, counters end in ``_total``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)

from agent.health.device_figures import DeviceFigures, pss_mb, uptime_s
from agent.health.openmetrics import (
    _SEVERITY,
    HEALTH_STATES,
    PIPELINE_STATES,
    PREFIX,
    STREAM_STATES,
    Snapshot,
    state_of,
)
from agent.workers.pipeline import Pipeline
from agent.workers.stream_watch import StreamWatch

_MB = 1 << 20
_PIPELINE = ("pipeline",)
_STREAM = ("pipeline", "stream")


def agent(snapshot: Snapshot) -> Iterator[Metric]:
    """The agent and its judgement."""
    info = InfoMetricFamily(f"{PREFIX}agent", "What runs here.")
    told = {"device": snapshot.device, "version": snapshot.version, "profile": snapshot.profile}
    info.add_metric((), told)
    yield info
    yield _gauge("agent_uptime_seconds", "Since the agent started.", snapshot.uptime_s)
    pss = pss_mb()
    if pss is not None:
        yield _gauge("agent_pss_bytes", "Proportional set size of the agent.", pss * _MB)
    state = StateSetMetricFamily(f"{PREFIX}health_state", "The worst of all checks.")
    state.add_metric((), state_of(snapshot.health.state, HEALTH_STATES))
    yield state
    checks = GaugeMetricFamily(
        f"{PREFIX}health_check", "0 ok, 1 warning, 2 critical.", labels=("check", "subject")
    )
    for check in snapshot.health.checks:
        checks.add_metric((check.id, check.subject), _SEVERITY[check.severity])
    yield checks
    yield _gauge("governor_level", "Steps by which rates are lowered.", snapshot.governor_level)
    yield _gauge("governor_rate_ratio", "Share of the configured rates.", snapshot.governor_rate)


def pipelines(snapshot: Snapshot) -> Iterator[Metric]:
    """Pipelines and their workers."""
    state = StateSetMetricFamily(f"{PREFIX}pipeline_state", "State of the pipeline.", labels=_PIPELINE)
    restarts = _counter("pipeline_restarts", "Ends of workers that were not asked for.", _PIPELINE)
    bundles = InfoMetricFamily(
        f"{PREFIX}pipeline_bundle", "What the pipeline runs.", labels=("pipeline", "stage")
    )
    pss = _family("worker_pss_bytes", "Proportional set size of the worker and its children.", _PIPELINE)
    limit = _family("worker_memory_limit_bytes", "What they may take.", _PIPELINE)
    cpu = _counter("worker_cpu_seconds", "Thread CPU time by stage, of all workers so far.", _stage())
    wall = _counter("worker_wall_seconds", "Wall time by stage, of all workers so far.", _stage())
    for name, pipeline in snapshot.pipelines.items():
        state.add_metric((name,), state_of(pipeline.state, PIPELINE_STATES))
        restarts.add_metric((name,), pipeline.restarts)
        for stage, bundle in pipeline.bundles.items():
            told = {"bundle": bundle.name, "version": bundle.version, "digest": bundle.digest}
            bundles.add_metric((name, stage), told)
        if pipeline.pss_mb is not None:
            pss.add_metric((name,), pipeline.pss_mb * 1e6)
        if pipeline.memory_limit_mb:
            limit.add_metric((name,), pipeline.memory_limit_mb * 1e6)
        for stage, seconds in snapshot.totals.cpu_s(name).items():
            cpu.add_metric((name, stage), seconds)
        for stage, seconds in snapshot.totals.wall_s(name).items():
            wall.add_metric((name, stage), seconds)
    yield from (state, restarts, bundles, pss, limit, cpu, wall)


def streams(snapshot: Snapshot) -> Iterator[Metric]:
    """Streams: what came, what became of it, and how long that took."""
    state = StateSetMetricFamily(f"{PREFIX}stream_state", "State of the stream.", labels=_STREAM)
    latency = HistogramMetricFamily(
        f"{PREFIX}stream_latency_seconds", "From the arrival of a frame to its result.", labels=_STREAM
    )
    age = _family("stream_last_result_age_seconds", "Since the last result.", _STREAM)
    results = _counter("stream_results", "Frames with a result.", _STREAM)
    counted = {
        "decoded": _counter("stream_frames", "Frames that were decoded.", _STREAM),
        "failed": _counter("stream_failed", "Frames whose inference failed.", _STREAM),
        "decode_errors": _counter("stream_decode_errors", "Pictures that could not be decoded.", _STREAM),
        "reconnects": _counter("stream_reconnects", "Times that the source was opened again.", _STREAM),
    }
    dropped = _counter("stream_dropped", "Frames that were left out, by reason.", (*_STREAM, "reason"))
    for labels, watch in _streams(snapshot.pipelines):
        state.add_metric(labels, state_of(watch.state, STREAM_STATES))
        latency.add_metric(labels, watch.latency.cumulative(), watch.latency.sum_ms / 1000)
        if watch.last_result_ns is not None:
            age.add_metric(labels, (snapshot.now_ns - watch.last_result_ns) / 1e9)
        results.add_metric(labels, watch.results)
        counts = snapshot.totals.counts(*labels)
        for field, family in counted.items():
            family.add_metric(labels, counts.get(field, 0))
        for reason, count in snapshot.totals.dropped(*labels).items():
            dropped.add_metric((*labels, reason), count)
    yield from (state, latency, age, results, *counted.values(), dropped)


def served(snapshot: Snapshot) -> Iterator[Metric]:
    """The inference API of the pipelines that have one."""
    counted = {
        "answered": _counter("served_requests", "Requests with an answer.", _PIPELINE),
        "pictures": _counter("served_pictures", "Pictures in these.", _PIPELINE),
        "waited_s": _counter("served_wait_seconds", "What they waited for their turn.", _PIPELINE),
        "ran_s": _counter("served_run_seconds", "How long the model ran for them.", _PIPELINE),
    }
    refused = _counter("served_refused", "Requests without an answer.", (*_PIPELINE, "status"))
    waiting = _family("served_waiting", "Requests in the queue.", _PIPELINE)
    for name, pipeline in snapshot.pipelines.items():
        for field, total in snapshot.totals.served(name).items():
            counted[field].add_metric((name,), total)
        for status, count in snapshot.totals.refused(name).items():
            refused.add_metric((name, status), count)
        if pipeline.metrics is not None and pipeline.metrics.served is not None:
            waiting.add_metric((name,), pipeline.metrics.served.waiting)
    yield from (*counted.values(), refused, waiting)


def link(snapshot: Snapshot) -> Iterator[Metric]:
    """The way to the broker."""
    yield _gauge("link_connected", "1 while there is a connection to the broker.", int(snapshot.connected))
    connects = _counter("link_connects", "Connections so far.", ())
    connects.add_metric((), snapshot.link.connects)
    yield connects
    yield _gauge("link_queued_bytes", "Held in the queue.", snapshot.link.queued_bytes)
    queued = _family("link_queued_messages", "Messages that wait, by kind.", ("kind",))
    enqueued = _counter("link_enqueued_messages", "Messages that were to be sent, by kind.", ("kind",))
    sent = _counter("link_sent_messages", "Messages that the broker has, by kind.", ("kind",))
    dropped = _counter("link_dropped_messages", "Messages that were lost.", ("kind", "reason"))
    for kind, counts in snapshot.link.kinds.items():
        queued.add_metric((kind,), counts.queued)
        enqueued.add_metric((kind,), counts.enqueued)
        sent.add_metric((kind,), counts.sent)
        for reason, count in counts.dropped.items():
            dropped.add_metric((kind, reason), count)
    yield from (queued, enqueued, sent, dropped)


def device(snapshot: Snapshot, figures: DeviceFigures) -> Iterator[Metric]:
    """The whole device."""
    yield _gauge("device_uptime_seconds", "Since the device started.", uptime_s())
    cpu = _counter("device_cpu_seconds", "Time of each processor.", ("cpu", "mode"))
    for number, (busy, idle) in enumerate(snapshot.totals.device_cpu_s(figures.cpu_s)):
        cpu.add_metric((str(number), "busy"), busy)
        cpu.add_metric((str(number), "idle"), idle)
    yield cpu
    frequency = _family("device_cpu_frequency_hertz", "Clock of each processor.", ("cpu",))
    for number, mhz in enumerate(figures.frequency_mhz):
        frequency.add_metric((str(number),), mhz * 1e6)
    yield frequency
    celsius = _family("device_temperature_celsius", "Of each thermal zone that is watched.", ("zone",))
    for zone, degrees in snapshot.celsius.items():
        celsius.add_metric((zone,), degrees)
    yield celsius
    yield _gauge("device_load1", "Load average over a minute.", figures.load1)
    yield _gauge("device_memory_bytes", "Memory.", figures.memory_total)
    yield _gauge("device_memory_available_bytes", "Memory that can be had.", figures.memory_available)
    yield _gauge("device_swap_bytes", "Swap space.", figures.swap_total)
    yield _gauge("device_swap_used_bytes", "Swap space in use.", figures.swap_used)
    yield _gauge("device_disk_bytes", "Size of the state folder's file system.", snapshot.disk.total_mb * _MB)
    yield _gauge("device_disk_free_bytes", "Free space of it.", snapshot.disk.free_mb * _MB)
    network = _counter("device_network_bytes", "By interface.", ("interface", "direction"))
    for name, (received, sent) in figures.network.items():
        network.add_metric((name, "received"), received)
        network.add_metric((name, "sent"), sent)
    yield network


def _streams(pipelines: Mapping[str, Pipeline]) -> Iterator[tuple[tuple[str, str], StreamWatch]]:
    for name, pipeline in pipelines.items():
        for stream, watch in pipeline.streams.items():
            yield (name, stream), watch


def _stage() -> tuple[str, str]:
    return ("pipeline", "stage")


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", text)
    family.add_metric((), value)
    return family


def _family(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", text, labels=labels)


def _counter(name: str, text: str, labels: Sequence[str]) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}{name}", text, labels=labels)
