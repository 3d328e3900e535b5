"""The numbers of the moment: streams, workers, the link, the device, the agent itself."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from agent.health import device_figures
from agent.health.device_figures import DeviceFigures, pss_mb
from agent.health.probe import Disk
from agent.link import messages
from agent.workers.pipeline import Pipeline
from agent.workers.stream_watch import StreamWatch


class MetricsMeter:
    """Makes the metrics body; rates are between two calls of ``body``."""

    def __init__(self) -> None:
        self._before_ns = time.monotonic_ns()
        self._results_before: dict[tuple[str, str], int] = {}
        self._device_before: DeviceFigures | None = device_figures.read()

    def body(
        self,
        pipelines: Mapping[str, Pipeline],
        link: messages.LinkMetrics,
        *,
        disk: Disk,
        celsius: float | None = None,
    ) -> messages.Metrics:
        """All numbers, now. ``disk`` and ``celsius``, the hottest zone, are as they were found last."""
        now = time.monotonic_ns()
        seconds = max((now - self._before_ns) / 1e9, 1e-3)
        self._before_ns = now
        body = messages.Metrics(
            pipelines={name: self._pipeline(name, item, seconds) for name, item in pipelines.items()},
            link=link,
            device=self._device(disk, celsius),
        )
        known = {(name, stream) for name, item in pipelines.items() for stream in item.streams}
        self._results_before = {key: count for key, count in self._results_before.items() if key in known}
        return body

    def _pipeline(self, name: str, pipeline: Pipeline, seconds: float) -> messages.PipelineMetrics:
        told = pipeline.metrics
        return messages.PipelineMetrics(
            state=pipeline.state,
            pid=pipeline.pid,
            rss_mb=told.rss_mb if told else 0.0,
            pss_mb=pipeline.pss_mb,
            memory_limit_mb=round(pipeline.memory_limit_mb, 1),
            cpu_percent=round(pipeline.cpu_percent, 1),
            restarts=pipeline.restarts,
            cpu_s=told.cpu_s if told else {},
            wall_s=told.wall_s if told else {},
            batch=pipeline.ready.batch if pipeline.ready else 0,
            streams={
                key: self._stream((name, key), watch, seconds) for key, watch in pipeline.streams.items()
            },
        )

    def _stream(self, key: tuple[str, str], watch: StreamWatch, seconds: float) -> messages.StreamMetrics:
        fresh = max(watch.results - self._results_before.get(key, 0), 0)
        self._results_before[key] = watch.results
        counters = watch.counters
        last_ns = watch.last_result_ns
        return messages.StreamMetrics(
            state=watch.state,
            fps=round(fresh / seconds, 2),
            latency_p50_ms=watch.latency_ms(0.5),
            latency_p95_ms=watch.latency_ms(0.95),
            latency_p99_ms=watch.latency_ms(0.99),
            last_result_age_s=None if last_ns is None else round((self._before_ns - last_ns) / 1e9, 1),
            codec=watch.codec,
            width=watch.width,
            height=watch.height,
            decoded=counters.decoded,
            results=counters.results,
            failed=counters.failed,
            dropped=counters.dropped,
            decode_errors=counters.decode_errors,
            reconnects=counters.reconnects,
        )

    def _device(self, disk: Disk, celsius: float | None) -> messages.DeviceMetrics:
        now = device_figures.read()
        cpus = device_figures.busy_percents(self._device_before, now)
        self._device_before = now
        frequencies = now.frequency_mhz
        return messages.DeviceMetrics(
            cpu_percent=round(sum(cpus) / len(cpus), 1) if cpus else 0.0,
            cpu_percents=cpus,
            cpu_mhz=round(sum(frequencies) / len(frequencies)) if frequencies else None,
            temperature_c=celsius,
            memory_percent=round(100 * (1 - now.memory_available / now.memory_total), 1),
            swap_percent=round(100 * now.swap_used / now.swap_total, 1) if now.swap_total else 0.0,
            disk_free_mb=disk.free_mb,
            network_received_bytes=sum(received for received, _ in now.network.values()),
            network_sent_bytes=sum(sent for _, sent in now.network.values()),
            load1=round(now.load1, 2),
            agent_pss_mb=pss_mb(),
        )


def inventory(version: str, pipelines: Mapping[str, Pipeline]) -> messages.Inventory:
    """What this device is, and the bundles that were verified."""
    bundles = []
    for name, pipeline in pipelines.items():
        for stage, bundle in pipeline.bundles.items():
            ready = pipeline.ready
            runs = ready.stages.get(stage) if ready and stage else ready
            bundles.append(
                messages.BundleInfo(
                    pipeline=name,
                    stage=stage,
                    name=bundle.name,
                    version=bundle.version,
                    release_counter=bundle.release_counter,
                    digest=bundle.digest,
                    variant=runs.variant if runs else "",
                    engine=runs.engine if runs else "",
                    provider=runs.provider if runs else "",
                )
            )
    return messages.Inventory(
        version=version,
        python=platform.python_version(),
        os=_os_name(),
        kernel=platform.release(),
        machine=platform.machine(),
        cpu=_cpu_name(),
        cpu_count=os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total >> 20,
        bundles=tuple(bundles),
    )


@functools.cache
def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", sys.platform)
    except OSError:
        return sys.platform


@functools.cache
def _cpu_name() -> str:
    """The processor's name: the device tree's model of the board, or what x86 tells."""
    with contextlib.suppress(OSError):
        return Path("/proc/device-tree/model").read_text("utf-8").strip("\0\n ")
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
