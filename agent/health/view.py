"""What health checks look at: plain facts of one moment, so that a check is a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.link.messages import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """One stream; ``code``, ``reason``, ``remedy`` say why it does not run."""

    state: str
    code: str = ""
    reason: str = ""
    remedy: str = ""
    failing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFacts:
    """One pipeline, for ``age_s`` in its state; why and how long ago its worker ended last."""

    state: str
    age_s: float = 0.0
    code: str = ""
    reason: str = ""
    remedy: str = ""
    last_end: str = ""
    last_end_code: str = ""
    last_end_age_s: float | None = None
    streams: Mapping[str, StreamFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """The link to the broker."""

    connected: bool
    address: str
    code: str = ""
    reason: str = ""
    remedy: str = ""
    refused_topic: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One moment of the device. Sizes in MB; ``pressure_percent`` is PSI "full" of memory over a minute."""

    link: LinkFacts
    pipelines: Mapping[str, PipelineFacts] = field(default_factory=dict)
    state_dir: str = ""
    disk_free_mb: int = 0
    disk_total_mb: int = 0
    memory_free_percent: float = 100.0
    pressure_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check says about one subject. ``text`` holds no number that moves all the time."""

    severity: Severity
    text: str
    subject: str = ""
    code: str = ""
    remedy: str = ""
