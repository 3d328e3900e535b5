"""A worker process is heard, bounded, stopped and reaped, whatever it does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from agent.workers import log_lines
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.errors import Code, EdgewardError
from tests.integration.agent_peers import wait_gone

pytestmark = pytest.mark.integration

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


async def start(behaviour: str, lines: list[str] | None = None) -> WorkerProcess:
    spec = ipc.StreamSpec(name="cam", url="rtsp://user:secret@camera/1")
    message = ipc.Start(pipeline="p", bundle_dir=behaviour, manifest_sha256="0" * 64, streams=(spec,))
    sink = lines.append if lines is not None else lambda _: None
    return await WorkerProcess.start(message, on_log=sink, command=FAKE)


async def first(worker: WorkerProcess, kind: type) -> object:
    async with asyncio.timeout(10):
        while True:
            message = await worker.receive()
            assert message is not None, worker.last_lines
            if isinstance(message, kind):
                return message


def no_child_of_ours(pid: int) -> bool:
    return not psutil.pid_exists(pid) and not any(c.pid == pid for c in psutil.Process().children())


async def test_it_is_heard_and_stops_in_order() -> None:
    worker = await start("ok")
    assert isinstance(await first(worker, ipc.Result), ipc.Result)
    with psutil.Process(worker.pid).oneshot():
        process = psutil.Process(worker.pid)
        assert "secret" not in " ".join(process.cmdline())
        assert not any("secret" in value for value in process.environ().values())
        assert os.getpgid(worker.pid) == worker.pid
        assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "500"
    assert await worker.stop(5) == 0
    assert worker.describe_exit() == "exit status 0"
    assert no_child_of_ours(worker.pid)


async def test_a_worker_that_ignores_stop_and_sigterm_is_killed() -> None:
    worker = await start("ignore-stop")
    await first(worker, ipc.Result)
    assert await worker.stop(0.2) == -signal.SIGKILL
    assert worker.describe_exit() == "killed by SIGKILL"
    assert no_child_of_ours(worker.pid)


async def test_a_stopped_process_is_killed_and_reaped() -> None:
    worker = await start("ok")
    await first(worker, ipc.Result)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.kill()
    assert await worker.wait() == -signal.SIGKILL
    assert no_child_of_ours(worker.pid)


async def test_cancelling_stop_still_kills() -> None:
    worker = await start("ignore-stop")
    await first(worker, ipc.Result)
    task = asyncio.create_task(worker.stop(60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await worker.wait() == -signal.SIGKILL


async def test_a_crash_is_named_and_messages_end() -> None:
    worker = await start("crash-after=3")
    while await worker.receive() is not None:
        pass
    assert await worker.wait() == -signal.SIGSEGV
    assert worker.describe_exit() == "killed by SIGSEGV"
    assert worker.last_lines[0] == "fake worker: crash-after=3"


@pytest.mark.parametrize("behaviour", ["garbage", "long-frame"])
async def test_garbage_is_an_error_with_a_code(behaviour: str) -> None:
    worker = await start(behaviour)
    with pytest.raises(EdgewardError) as caught:
        await first(worker, ipc.Stopped)
    assert caught.value.code is Code.WORKER_PROTOCOL
    worker.kill()
    await worker.wait()


async def test_what_a_worker_started_dies_with_it() -> None:
    lines: list[str] = []
    worker = await start("child", lines)
    await first(worker, ipc.Result)
    child = int(next(line for line in lines if line.startswith("child ")).split()[1])
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    wait_gone(child)


async def test_a_flood_of_log_lines_is_bounded_and_results_keep_coming() -> None:
    lines: list[str] = []
    worker = await start("flood", lines)
    for _ in range(20):
        await first(worker, ipc.Result)
    await worker.stop(5)
    assert len(lines) <= log_lines.BURST_LINES + 5 * log_lines.LINES_PER_SECOND
    assert any("lines left out" in line for line in lines)
    assert len(worker.last_lines) == log_lines.KEPT_LINES


async def test_an_unread_worker_waits_instead_of_filling_our_memory() -> None:
    worker = await start("fps=100000")
    await first(worker, ipc.Result)
    await asyncio.sleep(0.5)
    from agent.workers import channel  # noqa: PLC0415

    assert len(worker._channel._unread) < channel.HIGH_WATER + 2000
    assert await worker.stop(5) == 0


async def test_large_results_that_nobody_reads_are_bounded_in_bytes_and_none_is_lost() -> None:
    worker = await start("huge-tensor fps=100000")
    await first(worker, ipc.Result)
    from agent.workers import channel  # noqa: PLC0415

    held = worker._channel
    async with asyncio.timeout(10):
        while not held._paused:
            await asyncio.sleep(0.01)
    assert held._unread_bytes <= channel.HIGH_WATER_BYTES + ipc.MAX_FRAME
    frames = []
    while len(frames) < 20:
        message = await first(worker, ipc.Result)
        assert isinstance(message, ipc.Result)
        frames.append(message.frame)
    assert frames == list(range(1, 21))
    assert await worker.stop(5) == 0
