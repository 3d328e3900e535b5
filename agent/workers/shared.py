"""What all pipelines of a device have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent import config as schema
from agent.events import EventLog
from agent.preflight.gate import Gate
from agent.redact import Redactor
from agent.trust.device import DeviceTrust
from agent.workers.bundle_record import BundleRecords
from agent.workers.bundle_supply import Verify
from agent.workers.cores import Cores
from agent.workers.cpu_share import CpuShares
from agent.workers.limits import Limits
from agent.workers.process import COMMAND
from agent.workers.settings import Supervision
from agent.workers.stream_watch import StreamWatch
from runtime import ipc

if TYPE_CHECKING:
    from agent.workers.pipeline import Pipeline


class Listener(Protocol):
    """Who wants to know. Called on the event loop; must return at once."""

    def on_result(self, pipeline: Pipeline, watch: StreamWatch, result: ipc.Result, now_ns: int) -> None:
        """A result came; ``now_ns`` is when."""

    def on_change(self, pipeline: Pipeline) -> None:
        """The pipeline, its bundle or one of its streams changed."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all pipelines of a device have in common.

    Attributes:
        verify: verifies and stores a bundle.
        trust: says when to do so anew, and keeps the floors.
        gate: tries it on this device.
        engine: the device's settings of engines; ``profile`` and ``inference_cpus`` are its profile's.
        state_dir: where records, scratch folders and core dumps lie.
        headroom_mb: memory that is left to the board, in MB.
        command: the worker's program.
    """

    verify: Verify
    trust: DeviceTrust
    gate: Gate
    listener: Listener
    redactor: Redactor
    events: EventLog
    engine: schema.Engine
    supervision: Supervision
    state_dir: Path
    records: BundleRecords
    cores: Cores
    shares: CpuShares
    limits: Limits
    profile: str = ""
    inference_cpus: tuple[int, ...] = ()
    headroom_mb: int = 0
    command: Sequence[str] = field(default=COMMAND)
