"""Has the bundles of one pipeline tried on this device before its worker is started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from agent import config as schema
from agent.preflight.gate import Asked, Passed
from agent.workers import confinement, cores
from agent.workers.shared import Shared
from agent.workers.start_message import at_a_time
from runtime import ipc
from runtime.bundle.ingested import Ingested

log = logging.getLogger("pipeline")


async def all_passed(
    config: schema.Pipeline,
    shared: Shared,
    engines: Mapping[str, ipc.EngineOptions],
    bundles: Mapping[str, Ingested],
    *,
    scratch: Path,
    on_start: Callable[[], None],
) -> dict[str, Passed]:
    """By stage the variant that runs best on this device, of those that may run on it at all.

    Args:
        config: of the pipeline.
        shared: with the gate that they pass.
        engines: how each model is to run, by stage.
        bundles: verified, by stage.
        scratch: for what they leave; emptied before.
        on_start: called for each that is not known yet, when its trial begins.

    Raises:
        EdgewardError: as ``Gate.passed``.
    """
    name, batches = config.name, at_a_time(config)
    found: dict[str, Passed] = {}

    def printed(line: str) -> None:
        log.info("%s: preflight: %s", name, shared.redactor(line), extra={"pipeline": name})

    def started(pid: int) -> None:
        # With the share of the worker to come: its latency is measured as it will be.
        shared.shares.give(name, pid, config.weight)
        on_start()

    await asyncio.to_thread(cores.empty, scratch)
    try:
        for stage, options in engines.items():
            asked = Asked(
                label=f"{name}/{stage}" if stage else name,
                bundle=bundles[stage],
                engine=options,
                load_s=config.load_timeout_s,
                max_batch=batches[stage],
                rights=confinement.trial_rights(shared, bundles[stage], scratch),
            )
            found[stage] = await shared.gate.passed(asked, on_log=printed, on_start=started)
    finally:
        shared.shares.ended(name)
    return found
