"""The figures as OpenMetrics text, for Prometheus and what reads its format; see docs/ref/metrics.md.

``prometheus_client`` writes the text. It is imported when somebody first asks: most devices report by MQTT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.health import device_figures
from agent.health.probe import Disk
from agent.health.totals import Totals
from agent.link import messages
from agent.workers.pipeline import Pipeline

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PREFIX = "edgeward_"
OPENMETRICS = "application/openmetrics-text"
PLAIN = "text/plain"
PIPELINE_STATES = (
    "verifying",
    "preflight",
    "starting",
    "running",
    "backoff",
    "quarantined",
    "failed",
    "stopped",
)
STREAM_STATES = ("starting", "running", "stalled", "failed", "ended")
HEALTH_STATES = ("ok", "degraded", "failed")
_SEVERITY = {"ok": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the text is made of: the parts of the agent at one moment."""

    device: str
    profile: str
    version: str
    uptime_s: float
    pipelines: Mapping[str, Pipeline]
    totals: Totals
    link: messages.LinkMetrics
    connected: bool
    health: messages.Health
    disk: Disk
    celsius: Mapping[str, float]
    governor_level: int
    governor_rate: float
    now_ns: int


def render(snapshot: Snapshot, form: str = OPENMETRICS) -> tuple[bytes, str]:
    """The text and its content type; with ``PLAIN`` in the format that was before OpenMetrics."""
    from prometheus_client import exposition  # noqa: PLC0415 - see above
    from prometheus_client.openmetrics import exposition as openmetrics  # noqa: PLC0415
    from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(snapshot))
    if form == PLAIN:
        return exposition.generate_latest(registry), exposition.CONTENT_TYPE_PLAIN_0_0_4
    text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
    return text, openmetrics.CONTENT_TYPE_LATEST


class _Collector:
    """What ``prometheus_client`` calls a collector: it makes families of samples when asked."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def describe(self) -> list[Metric]:
        """Nothing: registering is not to collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families."""
        from agent.health import openmetrics_families as families  # noqa: PLC0415 - imports prometheus_client

        yield from families.agent(self._snapshot)
        yield from families.pipelines(self._snapshot)
        yield from families.streams(self._snapshot)
        yield from families.served(self._snapshot)
        yield from families.link(self._snapshot)
        yield from families.device(self._snapshot, device_figures.read())


def state_of(value: str, states: Sequence[str]) -> dict[str, bool]:
    """A state as OpenMetrics' set of states."""
    return {state: state == value for state in states}
