"""The parts of the agent that the control service asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.control.detections import DetectionFeed
from agent.events import EventLog
from agent.link.clock import WallClock
from agent.link.session import Session
from agent.logs.recent import Recent
from agent.redact import Redactor
from agent.reload import Reloader

if TYPE_CHECKING:
    from agent.device import Chosen
    from agent.device.governor import Governor
    from agent.reporter import Reporter
    from agent.workers.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Of one agent; ``metrics`` makes OpenMetrics text, ``started_ns`` is monotonic nanoseconds."""

    supervisor: Supervisor
    session: Session
    reporter: Reporter
    reloader: Reloader
    governor: Governor
    chosen: Chosen
    events: EventLog
    detections: DetectionFeed
    recent: Recent
    clock: WallClock
    redactor: Redactor
    metrics: Callable[[], str]
    version: str
    started_ns: int
