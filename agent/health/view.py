"""What health checks look at: plain facts of one moment, so that a check is a pure function.

A fact that was not looked at, or that the device does not tell, is ``None`` or empty: then a check says
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.link.messages import Severity
from agent.workers.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """One stream; ``code``, ``reason``, ``remedy`` say why it does not run.

    ``last_result_age_s`` counts from when it was first watched where there was no result yet; after
    ``stall_after_s`` without one it is stalled.
    """

    state: str
    code: str = ""
    reason: str = ""
    remedy: str = ""
    failing: str = ""
    last_result_age_s: float | None = None
    stall_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFacts:
    """One pipeline, for ``age_s`` in its state; why and how long ago its worker ended last.

    ``frame_ms`` is what a frame takes the model lately, on average; ``budget_ms`` what its author promised.
    ``quarantined`` tells why a bundle is not run any more, by stage; ``unconfined`` what the worker is not
    kept from; ``serve_problem`` why other programs cannot ask its models.
    """

    state: str
    age_s: float = 0.0
    code: str = ""
    reason: str = ""
    remedy: str = ""
    last_end: str = ""
    last_end_code: str = ""
    last_end_age_s: float | None = None
    streams: Mapping[str, StreamFacts] = field(default_factory=dict)
    frame_ms: float | None = None
    budget_ms: float | None = None
    quarantined: Mapping[str, str] = field(default_factory=dict)
    unconfined: str = ""
    serve_problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """The link to the broker. ``lost`` counts messages that were dropped lately, by kind and reason."""

    connected: bool
    address: str
    code: str = ""
    reason: str = ""
    remedy: str = ""
    refused_topic: str = ""
    lost: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneFacts:
    """A temperature sensor: ``warn_c`` is where to act, ``limit_c`` where the board slows itself down."""

    celsius: float
    warn_c: float
    limit_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """A certificate file: seconds until the first in it ends and since the last began, or why it is none."""

    ends_in_s: float = 0.0
    began_s_ago: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """A kernel or driver: its version, and the bounds within which it is known to work, where they are."""

    found: str
    least: str = ""
    most: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One moment of the device.

    Attributes:
        link: ``None`` when nobody looked, as ``doctor`` without an agent.
        disk_answers: whether the disk told its figures in time; else they are old.
        disk_free_mb: free space of the state folder in MB of 2^20 bytes, of ``disk_total_mb``; 0 of 0 when it
            cannot be read.
        disk_fault: why it took no write, where it is neither full nor read-only.
        inodes_free_percent: ``None`` on file systems that have no inodes to run out of.
        pressure_percent: PSI "full" of memory over a minute.
        load_per_cpu: how many programs run or want to, a processor, over five minutes.
        throttled: what the board slows itself down for, in words.
        clock_synchronised: the kernel's word; ``clock_year`` is what it shows.
        store_faults: what was found in stored bundles, by digest.
        profile_doubt: why the board may be another one than is taken for granted.
        governor: why rates are lowered now.
        watchdog_missing: systemd runs the agent and does not watch it.
        was: what was reported of (check, subject) before, for thresholds that differ up and down.
    """

    link: LinkFacts | None = None
    pipelines: Mapping[str, PipelineFacts] = field(default_factory=dict)
    state_dir: str = ""
    disk_answers: bool = True
    disk_free_mb: int | None = None
    disk_total_mb: int = 0
    disk_read_only: bool = False
    disk_fault: str = ""
    inodes_free_percent: float | None = None
    memory_free_percent: float | None = None
    pressure_percent: float | None = None
    load_per_cpu: float | None = None
    zones: Mapping[str, ZoneFacts] = field(default_factory=dict)
    throttled: tuple[str, ...] | None = None
    clock_synchronised: bool | None = None
    clock_year: int | None = None
    certificates: Mapping[str, CertificateFacts] = field(default_factory=dict)
    store_faults: Mapping[str, str] | None = None
    kernel: VersionFacts | None = None
    drivers: Mapping[str, VersionFacts] = field(default_factory=dict)
    profile: str = ""
    profile_doubt: str = ""
    governor: tuple[str, ...] | None = None
    config_problem: Reason | None = None
    metrics_problem: Reason | None = None
    watchdog_missing: bool = False
    was: Mapping[tuple[str, str], Finding] = field(default_factory=dict)

    def before(self, check: str, subject: str = "", *, code: str = "") -> Severity:
        """How bad ``check`` reported ``subject`` to be, for the cause ``code`` if one is given."""
        found = self.was.get((check, subject))
        return "ok" if found is None or (code and found.code != code) else found.severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check says about one subject. ``text`` holds no number that moves all the time."""

    severity: Severity
    text: str
    subject: str = ""
    code: str = ""
    remedy: str = ""
