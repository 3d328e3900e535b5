"""Crash windows, floods, memory, core dumps, requests: each bound by itself."""

from __future__ import annotations

import asyncio
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import config_file
from agent.events import EventLog
from agent.workers import cores, memory
from agent.workers.cores import Cores
from agent.workers.crash_window import CrashWindow, is_bad
from agent.workers.limits import Limits
from agent.workers.memory import MemoryState, MemoryWatch, automatic_limit_mb
from agent.workers.rate_cap import BURST, RateCap
from agent.workers.reason import Reason
from agent.workers.requests import Requests
from runtime import ipc
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


def test_so_many_bad_ends_within_the_window_are_a_crash_loop() -> None:
    window = CrashWindow(3, 600)
    assert [window.add(now) for now in (0, 300, 601, 700, 902)] == [False, False, False, True, True]
    window.clear()
    assert not window.add(903)
    assert window.count(903) == 1
    assert window.count(2000) == 0


@pytest.mark.parametrize(
    "code", ["worker.died", "worker.hung", "worker.memory", "worker.protocol", "model.run"]
)
def test_what_a_bundle_does_is_a_bad_end(code: str) -> None:
    assert is_bad(code)


@pytest.mark.parametrize(
    "code", ["", "source.lost", "config.value", "bundle.untrusted-key", "engine.unavailable", "system.io"]
)
def test_what_others_do_is_none(code: str) -> None:
    assert not is_bad(code)


def test_a_worker_may_be_as_fast_as_its_streams_and_much_faster_for_a_moment() -> None:
    cap, now = RateCap(0), 0
    for _ in range(BURST):
        cap.take([25.0], now)
    for _ in range(60 * 200):  # a minute at twenty times what a camera gives in all
        now += 5_000_000
        cap.take([25.0], now)


def test_a_worker_that_floods_is_refused() -> None:
    cap, now = RateCap(0), 0

    def flood() -> None:
        nonlocal now
        for _ in range(4 * BURST):
            now += 100_000  # ten thousand a second
            cap.take([25.0], now)

    with pytest.raises(EdgewardError) as caught:
        flood()
    assert caught.value.code is Code.WORKER_PROTOCOL


def pipeline(more: str = "") -> object:
    text = (
        f'[trust]\nrelease_keys = ["k.pub"]\n[[pipeline]]\nname = "p"\nbundle = "b.ewb"\n{more}\n'
        '[[pipeline.stream]]\nname = "s"\nurl = "rtsp://x/1"\n'
    )
    return config_file.parse(text, where="edgeward.toml", folder=Path("/")).pipeline[0]


def ready(memory_mb: float) -> ipc.Ready:
    return ipc.Ready(
        bundle="b", version="1.0.0", engine="e", provider="p", load_ms=1, labels=(), memory_mb=memory_mb
    )


def test_the_limit_is_the_configured_one_else_by_the_budget_else_what_the_board_can_spare() -> None:
    assert automatic_limit_mb(pipeline("memory_mb = 300"), ready(10), 100) == 300  # type: ignore[arg-type]
    plain = pipeline()
    of_board = automatic_limit_mb(plain, None, 100)  # type: ignore[arg-type]
    assert of_board == pytest.approx(memory._TOTAL_MB - 100 - memory._AGENT_MB, abs=1)
    assert automatic_limit_mb(plain, ready(0), 100) == of_board  # type: ignore[arg-type]
    assert automatic_limit_mb(plain, ready(100), 100) == 2 * 100 + 256  # type: ignore[arg-type]
    assert automatic_limit_mb(plain, ready(1e9), 100) == of_board  # type: ignore[arg-type]


def test_a_process_and_its_children_are_measured_together() -> None:
    script = (
        "import os, sys\nblock = bytearray(os.urandom(1 << 20) * 40)\n"
        "if os.fork() == 0:\n    block = bytearray(os.urandom(1 << 20) * 30)\n"
        "    print('ready', flush=True)\n    sys.stdin.read()\n    os._exit(0)\nsys.stdin.read()\nos.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        pids = memory.family(process.pid)
        assert len(pids) == 2
        pss, rss = memory.pss_mb(pids), memory.rss_mb(pids)
        process.stdin.close()
    assert pss is not None
    assert 70 < pss < 130
    assert rss >= pss - 1
    assert memory.rss_mb(pids) == 0
    assert memory.pss_mb(pids) is None


class Worker:
    """A pipeline whose worker is this process."""

    def __init__(self, limit_mb: float) -> None:
        self.memory = MemoryState(limit_mb=limit_mb)
        self.pid: int | None = os.getpid()
        self.ended: list[Reason] = []

    def give_up(self, reason: Reason) -> None:
        self.ended.append(reason)
        self.pid = None


class Board:
    """A board whose free memory the test says."""

    def __init__(self, folder: Path, headroom_mb: float, **workers: Worker) -> None:
        self.meminfo = folder / "meminfo"
        self.events = EventLog()
        self.watch = MemoryWatch(workers, lambda: headroom_mb, Limits(), self.events, meminfo=self.meminfo)
        self.now = 100.0

    def look(self, available_mb: float, seconds: float = 0.5) -> None:
        self.now += seconds
        self.meminfo.write_text(f"MemTotal: 1 kB\nMemAvailable: {round(available_mb * 1e6 / 1024)} kB\n")
        asyncio.run(self.watch.look(self.now))


def test_a_worker_over_its_limit_is_ended_with_the_figures(tmp_path: Path) -> None:
    small, large = Worker(1.0), Worker(1e6)
    board = Board(tmp_path, 10, small=small, large=large)
    for _ in range(6):
        board.look(1000)
    assert large.ended == []
    assert large.memory.pss_mb is not None
    (reason,) = small.ended
    assert reason.code == "worker.memory"
    assert "its limit is 1 MB" in reason.text
    assert "proportional set size" in reason.text


def test_before_the_board_swaps_the_worker_that_grew_most_is_ended(tmp_path: Path) -> None:
    quiet, hog = Worker(1e6), Worker(1e6)
    board = Board(tmp_path, 200, quiet=quiet, hog=hog)
    for _ in range(6):
        board.look(1000)
    # Both are this process; only one is seen to grow.
    quiet.memory.base_mb = None
    assert hog.memory.base_mb is not None
    hog.memory.base_mb -= 100
    board.look(190)
    assert quiet.ended == []
    (reason,) = hog.ended
    assert "190 MB are available on this device, 200 MB are to stay free" in reason.text
    assert "it grew by" in reason.text


def test_a_board_that_others_fill_ends_no_worker_and_is_told_once(tmp_path: Path) -> None:
    worker = Worker(1e6)
    board = Board(tmp_path, 200, worker=worker)
    for available in (1000, 190, 180, 170, 175, 160):
        board.look(available)
    assert worker.ended == []
    assert [event.kind for event in board.events.recent()] == ["memory.low"]
    board.look(1000)
    board.look(100)
    assert [event.kind for event in board.events.recent()] == ["memory.low"] * 2


def test_a_look_at_memory_is_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process that has touched much: the exact figure is not taken each time."""
    block = mmap.mmap(-1, 64 << 20)
    block.write(b"x" * (64 << 20))
    workers = {f"w{number}": Worker(1e6) for number in range(8)}
    board = Board(tmp_path, 10, **workers)
    exact: list[object] = []
    monkeypatch.setattr(memory, "pss_mb", exact.append)
    for _ in range(120):  # a minute
        board.look(1000)
    assert 8 <= len(exact) <= 8 * 7


def core(scratch: Path, size: int = 1000) -> None:
    scratch.mkdir(exist_ok=True)
    (scratch / "core").write_bytes(os.urandom(size))


def pattern(folder: Path, text: str) -> Path:
    path = folder / "pattern"
    path.write_text(f"{text}\n")
    return path


def test_core_dumps_are_taken_named_and_few(tmp_path: Path) -> None:
    scratch, folder = tmp_path / "scratch", tmp_path / "cores"
    kept = Cores(folder, most=2, max_mb=1, pattern=pattern(tmp_path, "core"))
    assert kept.bytes_allowed == 1 << 20
    for number in range(4):
        core(scratch)
        found = kept.collect(scratch, name="b/elt", version="1.0", ended_by=f"SIG{number}")
        assert Path(found).name.startswith("b_elt-1.0-")
        os.utime(found, ns=(number, number))
    assert sorted(path.name[-9:] for path in folder.iterdir()) == ["SIG2.core", "SIG3.core"]
    assert kept.collect(scratch, name="b", version="1", ended_by="SIGSEGV") == ""
    core(scratch, 2 << 20)
    assert "larger than" in kept.collect(scratch, name="b", version="1", ended_by="SIGSEGV")
    left = sorted(path.name[-9:] for path in folder.iterdir())
    assert left == ["SIG2.core", "SIG3.core"], "one that is too large costs no other one its place"


@pytest.mark.parametrize(
    ("text", "allowed", "says"),
    [
        ("|/usr/lib/systemd/systemd-coredump %P %u", True, "'coredumpctl list' shows it"),
        ("|/usr/share/apport/apport %p", True, "apport has it"),
        ("/var/crash/core.%p", False, ""),
        ("", False, ""),
    ],
)
def test_where_the_kernel_puts_core_dumps_elsewhere_none_is_left_lying(
    text: str, allowed: bool, says: str, tmp_path: Path
) -> None:
    kept = Cores(tmp_path / "cores", most=2, max_mb=1, pattern=pattern(tmp_path, text))
    assert bool(kept.bytes_allowed) is allowed
    core(tmp_path / "scratch")
    assert kept.collect(tmp_path / "scratch", name="b", version="1", ended_by="SIGSEGV") == says
    off = Cores(tmp_path / "cores", most=0, max_mb=1, pattern=tmp_path / "pattern")
    assert off.collect(tmp_path / "scratch", name="b", version="1", ended_by="SIGSEGV") == ""


def test_no_link_in_a_scratch_folder_leads_out_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "core").write_text("not yours")
    scratch = tmp_path / "scratch"
    (scratch / "deep" / "er").mkdir(parents=True)
    (scratch / "core").symlink_to(outside / "core")
    (scratch / "deep" / "er" / "way").symlink_to(outside)
    kept = Cores(tmp_path / "cores", most=2, max_mb=1, pattern=pattern(tmp_path, "core"))
    assert kept.collect(scratch, name="b", version="1", ended_by="SIGSEGV") == ""
    cores.empty(scratch)
    assert list(scratch.iterdir()) == []
    assert (outside / "core").read_text() == "not yours"


class Ping(ipc.Request, frozen=True, kw_only=True, tag="ping"):
    """A question."""


class Pong(ipc.Reply, frozen=True, kw_only=True, tag="pong"):
    """An answer."""

    text: str = ""


def test_each_question_gets_its_own_answer_or_an_error() -> None:
    async def talk() -> None:
        requests = Requests()
        asked: list[int] = []

        def send(message: object) -> None:
            assert isinstance(message, Ping)
            asked.append(message.id)

        first = asyncio.create_task(requests.ask(send, Ping(), 5))
        second = asyncio.create_task(requests.ask(send, Ping(), 5))
        await asyncio.sleep(0)
        requests.resolve(Pong(id=99))
        requests.resolve(Pong(id=asked[1], text="two"))
        requests.resolve(Pong(id=asked[0], text="one"))
        assert [await first, await second] == [Pong(id=1, text="one"), Pong(id=2, text="two")]
        requests.resolve(Pong(id=asked[0], text="again"))
        with pytest.raises(EdgewardError, match=r"within 0.01 s") as late:
            await requests.ask(send, Ping(), 0.01)
        assert late.value.code is Code.WORKER_HUNG
        waiting = [asyncio.create_task(requests.ask(send, Ping(), 5)) for _ in range(Requests.MOST)]
        await asyncio.sleep(0)
        with pytest.raises(EdgewardError) as busy:
            await requests.ask(send, Ping(), 5)
        assert busy.value.code is Code.SYSTEM_BUSY
        requests.end()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {end.code for end in ends if isinstance(end, EdgewardError)} == {Code.WORKER_DIED}

    asyncio.run(talk())
