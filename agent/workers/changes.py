"""Says what changed with a worker or a stream, in the log and in the events."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from agent.events import EventLog
from agent.workers.bundle_record import Quarantined
from agent.workers.bundle_supply import BundleSupply
from agent.workers.reason import Reason
from agent.workers.stream_watch import Change
from runtime import ipc

log = logging.getLogger("pipeline")

_said: set[str] = set()


def once(text: str) -> None:
    """Say it once for as long as this process lives."""
    if text not in _said:
        _said.add(text)
        log.warning("%s", text)


def tell(pipeline: str, stream: str, change: Change, events: EventLog) -> None:
    """A stream entered another state."""
    label = f"{pipeline}/{stream}"
    reason = change.reason
    if change.state == "stalled":
        text = f"stalled: no result for {change.seconds:.1f} s: {reason}"
        log.warning("%s %s", label, text)
    elif change.state == "running":
        text = f"runs: first result after {change.seconds:.1f} s"
        log.info("%s %s", label, text)
    elif change.state == "ended":
        text = "ended"
        log.info("%s ended", label)
    else:
        text = f"{change.state}: {reason or 'no reason given'}"
        log.warning("%s %s", label, text)
    events.add(
        f"stream.{change.state}",
        text,
        subject=label,
        severity="ok" if change.state in {"running", "ended"} else "warning",
        code=reason.code if reason else "",
        remedy=reason.remedy if reason else "",
    )


def tell_ready(
    pipeline: str,
    ready: ipc.Ready,
    pid: int | None,
    supply: BundleSupply,
    events: EventLog,
) -> None:
    """A worker has loaded its models; ``supply`` knows in whose place they run, and which is on trial."""
    log.info(
        "%s: %s %s runs on %s (%s), variant %s, loaded in %.0f ms, process %s",
        pipeline,
        ready.bundle,
        ready.version,
        ready.engine,
        ready.provider,
        ready.variant or "not named",
        ready.load_ms,
        pid,
    )
    for lack in ready.lacks:
        once(f"workers are confined less than they could be: {lack}")
    for stage, reason in supply.quarantine.items():
        events.add(
            "bundle.tried-again" if stage in supply.tried else "bundle.fell-back",
            reason.text,
            subject=f"{pipeline}/{stage}" if stage else pipeline,
            severity="warning",
            code=reason.code,
            remedy=reason.remedy,
        )


def tell_freed(pipeline: str, freed: Iterable[Quarantined], why: str, events: EventLog) -> None:
    """These bundles are in quarantine no more."""
    for one in freed:
        text = f"{one.bundle} is out of quarantine: {why}"
        log.info("%s: %s", pipeline, text)
        events.add("bundle.released", text, subject=pipeline)


def tell_failed(pipeline: str, state: str, reason: Reason, events: EventLog) -> None:
    """It entered ``state``, in which no worker runs."""
    events.add(
        f"pipeline.{state}",
        reason.text,
        subject=pipeline,
        severity="critical",
        code=reason.code,
        remedy=reason.remedy,
    )
