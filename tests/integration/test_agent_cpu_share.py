"""Workers that want more CPU than there is get it by weight, and the lightest gets some all the time."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from agent.workers.cpu_share import CpuShares, nice_level
from agent.workers.process import WorkerProcess
from runtime import ipc

pytestmark = pytest.mark.integration

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
# CPU seconds that both together consume in a slice of the measurement: however busy the machine is, it is
# the ratio of the two that counts.
SLICE_S = 0.5
SLICES = 6


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process: its own clock, clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


async def burning(shares: CpuShares, cpu: int, weight: int) -> WorkerProcess:
    message = ipc.Start(
        pipeline=f"w{weight}",
        bundle_dir="burn",
        manifest_sha256="0" * 64,
        streams=(),
        engine=ipc.EngineOptions(affinity=(cpu,)),
    )
    worker = await WorkerProcess.start(message, on_log=lambda _: None, command=FAKE)
    shares.give(f"w{weight}", worker.pid, weight)
    async with asyncio.timeout(20):
        while os.sched_getaffinity(worker.pid) != {cpu} or not _is_niced(worker.pid, weight):
            await asyncio.sleep(0.01)
    return worker


def _is_niced(pid: int, weight: int) -> bool:
    level = nice_level(weight)
    session = Path(f"/proc/{pid}/autogroup")
    grouped = not session.exists() or f" nice {level}\n" in session.read_text()
    return grouped and psutil.Process(pid).nice() == min(19, os.getpriority(os.PRIO_PROCESS, 0) + level)


async def test_two_workers_on_one_cpu_get_it_by_weight_and_the_light_one_never_starves() -> None:
    shares = CpuShares()
    cpu = min(os.sched_getaffinity(0))
    heavy, light = await burning(shares, cpu, 100), await burning(shares, cpu, 25)
    try:
        slices = []
        for _ in range(SLICES):
            began = cpu_s(heavy.pid), cpu_s(light.pid)
            used = (0.0, 0.0)
            while sum(used) < SLICE_S:
                await asyncio.sleep(0.02)
                used = cpu_s(heavy.pid) - began[0], cpu_s(light.pid) - began[1]
            slices.append(used)
    finally:
        for worker in (heavy, light):
            worker.kill()
            await worker.wait()
    ratio = sum(one[0] for one in slices) / sum(one[1] for one in slices)
    assert 2.8 < ratio < 5.5, f"100 against 25 gave a ratio of {ratio:.2f}: {slices}"
    assert all(light_s > 0.05 * SLICE_S for _, light_s in slices), slices


async def test_a_worker_that_is_alone_gets_all_that_it_wants_whatever_its_weight() -> None:
    shares = CpuShares()
    worker = await burning(shares, min(os.sched_getaffinity(0)), 1)
    try:
        async with asyncio.timeout(60):
            began = cpu_s(worker.pid)
            while cpu_s(worker.pid) - began < 0.3:
                await asyncio.sleep(0.01)
    finally:
        worker.kill()
        await worker.wait()
