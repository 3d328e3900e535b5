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

from agent.link import messages
from agent.workers.pipeline import Pipeline
from agent.workers.stream_watch import StreamWatch


class MetricsMeter:
    """Makes the metrics body; rates are between two calls of ``body``."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._before_ns = time.monotonic_ns()
        self._results_before: dict[tuple[str, str], int] = {}
        psutil.cpu_percent()  # the first call starts the measurement

    def body(self, pipelines: Mapping[str, Pipeline], link: messages.LinkMetrics) -> messages.Metrics:
        """All numbers, now."""
        now = time.monotonic_ns()
        seconds = max((now - self._before_ns) / 1e9, 1e-3)
        self._before_ns = now
        return messages.Metrics(
            pipelines={name: self._pipeline(name, item, seconds) for name, item in pipelines.items()},
            link=link,
            device=self._device(),
        )

    def _pipeline(self, name: str, pipeline: Pipeline, seconds: float) -> messages.PipelineMetrics:
        told = pipeline.metrics
        return messages.PipelineMetrics(
            state=pipeline.state,
            pid=pipeline.pid,
            rss_mb=told.rss_mb if told else 0.0,
            restarts=pipeline.restarts,
            cpu_s=told.cpu_s if told else {},
            wall_s=told.wall_s if told else {},
            batch=pipeline.ready.batch if pipeline.ready else 0,
            streams={
                key: self._stream((name, key), watch, seconds) for key, watch in pipeline.streams.items()
            },
        )

    def _stream(self, key: tuple[str, str], watch: StreamWatch, seconds: float) -> messages.StreamMetrics:
        fresh = watch.results - self._results_before.get(key, 0)
        self._results_before[key] = watch.results
        counters = watch.counters
        return messages.StreamMetrics(
            state=watch.state,
            fps=round(fresh / seconds, 2),
            latency_p50_ms=watch.latency_ms(0.5),
            latency_p95_ms=watch.latency_ms(0.95),
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

    def _device(self) -> messages.DeviceMetrics:
        free, _ = disk_mb(self._state_dir)
        return messages.DeviceMetrics(
            cpu_percent=psutil.cpu_percent(),
            memory_percent=psutil.virtual_memory().percent,
            disk_free_mb=free,
            load1=round(os.getloadavg()[0], 2),
            agent_pss_mb=pss_mb(),
        )


def disk_mb(folder: Path) -> tuple[int, int]:
    """Free and total space of the file system of ``folder`` in MB; zeros when it cannot be read."""
    with contextlib.suppress(OSError):
        usage = psutil.disk_usage(str(folder))
        return usage.free >> 20, usage.total >> 20
    return 0, 0


def pss_mb(pid: str = "self") -> float | None:
    """Proportional set size of a process; ``None`` where the kernel does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return round(int(line.split()[1]) / 1024, 1)
    return None


def memory_pressure_percent() -> float | None:
    """Share of the last minute in which all programs waited for memory (PSI); ``None`` without PSI."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/pressure/memory").read_text("ascii").splitlines():
            if line.startswith("full "):
                return float(line.split("avg60=")[1].split()[0])
    return None


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
