"""The supervisor in this process, its workers fake: what is forgiven a bundle, and what is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.integration.test_supervisor import Device, running

pytestmark = pytest.mark.integration


def kill(device: Device, number: signal.Signals) -> None:
    os.kill(device.supervisor.pipelines["a"].pid or 0, number)


async def test_a_quarantine_without_another_bundle_ends_by_itself_once_it_runs_well(tmp_path: Path) -> None:
    """A camera that crashed its decoder for an hour must not leave a site dark for ever."""
    async with running(tmp_path, quarantine_retry=0.2) as device:
        a = device.supervisor.pipelines["a"]
        device.behave("a", "exit=7")
        kill(device, signal.SIGKILL)
        await device.reaches("a", "quarantined")
        assert a.reason is not None
        assert "it will be tried again at" in a.reason.text
        # On trial one bad end is enough.
        ends = a.restarts
        await device.until(lambda: a.restarts == ends + 1)
        await device.reaches("a", "quarantined")
        device.behave("a", "ok")
        await device.reaches("a", "running")
        assert "it is tried again" in a.quarantine[""].text
        events = device.supervisor.events
        await device.until(lambda: "bundle.released" in {event.kind for event in events.recent()})
        assert a.state == "running"
        assert a.quarantine == {}
        assert "bundle.tried-again" in {event.kind for event in events.recent()}


async def test_who_ends_a_worker_politely_does_not_blame_its_bundle(tmp_path: Path) -> None:
    async with running(tmp_path) as device:
        a = device.supervisor.pipelines["a"]
        for number in range(4):
            kill(device, signal.SIGTERM)
            await device.until(lambda number=number: a.restarts == number + 1)  # type: ignore[misc]
            await device.reaches("a", "running")
        assert a.quarantine == {}


async def test_an_agent_that_was_held_up_for_an_hour_still_notices_a_worker_that_hangs(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as device:
        config = device.config(device.pipeline("a", "worker_timeout_s = 2"), device.pipeline("b"))
        await device.supervisor.apply(config)
        a = await device.reaches("a", "running")
        last_look = a._ticked_ns
        a._ticked_ns -= 3600 * 10**9  # as if it lay so far back
        await device.until(lambda: a._ticked_ns > last_look)
        kill(device, signal.SIGSTOP)
        await device.until(lambda: a.restarts == 1)
        assert a.last_end is not None
        assert a.last_end.code == "worker.hung"


async def test_a_worker_that_dies_is_replaced_whatever_it_leaves_running_elsewhere(tmp_path: Path) -> None:
    """What it started in a session of its own holds the other ends of its socket and of its log."""
    async with running(tmp_path) as device:
        a = device.supervisor.pipelines["a"]
        device.behave("a", "stray")
        kill(device, signal.SIGTERM)
        file = tmp_path / "state" / "scratch" / "a" / "stray"
        await device.until(lambda: file.exists() and a.state == "running")
        stray = int(file.read_text())
        before = descriptors()
        device.behave("a", "ok")
        try:
            kill(device, signal.SIGTERM)
            await device.until(lambda: a.restarts == 2 and a.state == "running")
            assert descriptors() <= before
        finally:
            os.kill(stray, signal.SIGKILL)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
