"""Facts: what the probe asks of disk and kernel, the store, losses, workers' sums."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.device.profile import Driver
from agent.health import device_figures, probe
from agent.health.facts import LATELY_S, Losses
from agent.health.frame_time import LEAST_FRAMES, FrameTimes
from agent.health.probe import STALE_S, Probe
from agent.health.store import StoreMarks, StoreRecheck
from agent.health.totals import Totals
from runtime import ipc
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


# --- disk and kernel ---


def test_the_probe_tells_of_the_file_system_and_the_memory(tmp_path: Path) -> None:
    asking = Probe(tmp_path)
    told = asking.latest = asking.ask()
    usage = shutil.disk_usage(tmp_path)
    assert told.disk.total_mb == usage.total >> 20
    assert abs(told.disk.free_mb - (usage.free >> 20)) < 500
    assert 0 < told.memory_free_percent < 100
    assert told.load_per_cpu >= 0
    assert asking.answers_still(time.monotonic())
    assert not asking.answers_still(time.monotonic() + STALE_S)


def test_a_disk_that_hangs_from_the_start_is_noticed_as_well(tmp_path: Path) -> None:
    asking = Probe(tmp_path)
    assert asking.answers_still(time.monotonic())
    assert not asking.answers_still(time.monotonic() + STALE_S)


def test_a_round_that_breaks_is_not_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, calls = threading.Event(), []

    def loads() -> tuple[float, float, float]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("no /proc/loadavg here")
        return 1.0, 1.0, 1.0

    monkeypatch.setattr(os, "getloadavg", loads)
    monkeypatch.setattr(probe, "ROUND_S", 0.01)
    asking = Probe(tmp_path, on_first=first.set)
    asking.start()
    assert first.wait(10)
    asking.stop()
    asking._thread.join(10)
    assert "cannot be asked" in caplog.text


def test_a_folder_that_is_not_there_has_no_room() -> None:
    assert probe.disk(Path("/nowhere/at/all")) == probe.Disk()


def test_a_disk_that_hangs_stops_nobody_and_its_answers_get_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`statvfs` on a dead network file system does not return: here it waits for this test."""
    hangs, released, calls = threading.Event(), threading.Event(), []

    def statvfs(path: object) -> os.statvfs_result:
        calls.append(path)
        if len(calls) > 1:
            hangs.set()
            released.wait(30)
        return really(path)  # type: ignore[arg-type]

    really = os.statvfs
    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(probe, "ROUND_S", 0.01)
    first = threading.Event()
    asking = Probe(tmp_path, on_first=first.set)
    asking.start()
    try:
        assert first.wait(10)
        assert hangs.wait(10)
        assert asking.latest is not None
        assert not asking.answers_still(time.monotonic() + STALE_S)
        asking.stop()  # does not wait for it
    finally:
        released.set()
        asking._thread.join(10)
    assert not asking._thread.is_alive()


def test_a_disk_that_takes_no_write_any_more_is_noticed_though_its_file_system_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a flash card that has died: `statvfs` is answered from memory, a write never returns."""
    hangs, released = threading.Event(), threading.Event()

    def sync(file: int) -> None:
        hangs.set()
        released.wait(30)
        really(file)

    really = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(probe, "ROUND_S", 0.01)
    asking = Probe(tmp_path)
    before = asking.ended_s
    asking.start()
    try:
        assert hangs.wait(10)
        at = asking.ended_s
        assert at > before
        assert not asking.answers_still(time.monotonic() + STALE_S)
    finally:
        released.set()
        asking.stop()
        asking._thread.join(10)
    assert asking.ended_s > at
    assert (tmp_path / "alive").stat().st_size == 21


def test_a_folder_that_refuses_a_write_has_answered_and_says_why(tmp_path: Path) -> None:
    asking = Probe(tmp_path / "gone")
    assert asking.ask().write_fault == os.strerror(errno.ENOENT)
    assert asking.ask(seldom=False).write_fault
    (tmp_path / "gone").mkdir()
    assert asking.ask().write_fault == ""


def test_a_drivers_version_is_in_the_first_of_its_files_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("RKNPU driver: v0.9.6\n")
    (tmp_path / "c").write_text("no version")
    (tmp_path / "d").mkdir()

    def version(*names: str) -> str:
        files = tuple(str(tmp_path / name) for name in names)
        return probe.driver_version(Driver(source=("x",), name="npu", files=files))

    assert version("a", "b") == "0.9.6"
    assert version("c") == "?"
    assert version("d") == "?"
    assert version("a") == ""


def test_a_driver_that_may_not_be_looked_at_breaks_no_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The NPU's version lies in debugfs, which is for root alone; the agent is not root."""

    def refuse(path: object, *_: object, **__: object) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    driver = Driver(source=("x",), name="npu", files=("/sys/kernel/debug/rknpu/version",))
    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "stat", refuse)
    assert probe.driver_version(driver) == ""


def test_device_figures_are_those_of_this_machine() -> None:
    now = device_figures.read()
    assert len(now.cpu_s) == os.cpu_count()
    assert 0 < now.memory_available < now.memory_total
    assert all(not name.startswith("lo") for name in now.network)
    idle, later = now.cpu_s, [(busy + 3, rest + 1) for busy, rest in now.cpu_s]
    assert device_figures.busy_percents(now, _with(now, tuple(later))) == tuple(75.0 for _ in idle)
    assert device_figures.busy_percents(None, now) == tuple(0.0 for _ in idle)
    assert device_figures.busy_percents(now, now) == tuple(0.0 for _ in idle)


def _with(figures: device_figures.DeviceFigures, cpu_s: tuple[tuple[float, float], ...]) -> Any:
    return replace(figures, cpu_s=cpu_s)


# --- the store ---


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles" / ("a" * 64)
    (folder / "files").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "files" / "model.onnx").write_text("weights")
    return folder


def test_a_stored_file_that_is_changed_removed_or_added_is_found(store: Path) -> None:
    marks = StoreMarks(store.parent)
    assert marks.look() == {}
    assert marks.look() == {}
    (store / "files" / "model.onnx").write_text("others!")
    assert "files/model.onnx" in marks.look()[store.name]
    (store / "files" / "model.onnx").unlink()
    assert "files/model.onnx" in marks.look()[store.name]
    (store / "aaa").write_text("x")
    assert "aaa" in marks.look()[store.name]


def test_a_bundle_that_is_stored_anew_is_sound_again_and_one_that_goes_is_no_fault(store: Path) -> None:
    marks = StoreMarks(store.parent)
    marks.look()
    (store / "manifest.json").write_text("{ }")
    assert marks.look()
    fresh = store.parent / "fresh"
    shutil.copytree(store, fresh)
    shutil.rmtree(store)
    fresh.rename(store)
    assert marks.look() == {}
    shutil.rmtree(store)
    assert marks.look() == {}


def test_a_store_that_is_not_there_has_no_faults(tmp_path: Path) -> None:
    assert StoreMarks(tmp_path / "none").look() == {}


def test_only_damage_is_a_fault_of_the_store() -> None:
    answers = {
        "damaged": EdgewardError(Code.BUNDLE_DIGEST, "model.onnx is not what was signed"),
        "revoked": EdgewardError(Code.BUNDLE_UNTRUSTED_KEY, "nobody trusts it"),
        "busy": EdgewardError(Code.SYSTEM_BUSY, "somebody stores"),
        "sound": None,
    }
    told: list[bool] = []

    async def verify(digest: str) -> object:
        if (error := answers[digest]) is not None:
            raise error
        return digest

    recheck = StoreRecheck(lambda: answers, verify, lambda: told.append(True))
    asyncio.run(recheck.look(answers))
    assert recheck.faults == {"damaged": "the stored bundle is damaged: model.onnx is not what was signed"}
    answers["damaged"] = None
    asyncio.run(recheck.look(["damaged"]))
    assert recheck.faults == {}
    assert len(told) == 2


def test_damage_that_was_mended_is_seen_soon_and_not_after_a_day() -> None:
    sound, mended = asyncio.Event(), asyncio.Event()

    async def verify(digest: str) -> object:
        if not sound.is_set():
            raise EdgewardError(Code.BUNDLE_DIGEST, "model.onnx is not what was signed")
        return digest

    async def run() -> None:
        def change() -> None:
            if recheck.faults:
                sound.set()  # its pipeline was restarted, which stores it anew
            else:
                mended.set()

        recheck = StoreRecheck(lambda: ["a"], verify, change)
        task = asyncio.create_task(recheck.run(first_s=0.01, soon_s=0.01))
        await asyncio.wait_for(mended.wait(), 10)
        task.cancel()

    asyncio.run(run())


def test_a_bundle_that_was_only_touched_is_sound_again_once_it_was_verified(store: Path) -> None:
    marks = StoreMarks(store.parent)

    async def verify(digest: str) -> object:
        return digest

    recheck = StoreRecheck(list, verify, marks=marks)
    marks.look()
    os.utime(store / "manifest.json", ns=(1, 1))
    assert marks.look()
    asyncio.run(recheck.look(marks.faults))
    assert marks.faults == {}
    assert marks.look() == {}
    (store / "manifest.json").write_text("other")
    assert marks.look()


# --- what was lost lately ---


def test_a_loss_is_told_for_ten_minutes_and_then_forgotten() -> None:
    losses, key = Losses(), ("event", "full")
    assert losses.lately({}, 0) == {}
    assert losses.lately({key: 5}, 1) == {key: 5}
    at = 2.0
    while at < LATELY_S:
        assert losses.lately({key: 5}, at) == {key: 5}
        at += 2
    seen = [losses.lately({key: 5}, at + extra) for extra in range(0, 60, 2)]
    assert seen[-1] == {}
    assert losses.lately({key: 7}, at + 61) == {key: 2}
    assert len(losses._kept) < 40


# --- sums over the lives of workers ---


def worker(life: int, decoded: int, *, dropped: int = 0, infer_s: float = 0.0, mono_ns: int = 0) -> Any:
    counters = ipc.StreamCounters(decoded=decoded, results=decoded, dropped={"stale": dropped})
    told = ipc.Metrics(
        mono_ns=mono_ns,
        streams={"s": counters},
        cpu_s={"infer": infer_s},
        wall_s={"infer": infer_s},
        rss_mb=1.0,
    )
    config = SimpleNamespace(stage=(), tiling=None)
    return SimpleNamespace(lives=life, metrics=told, streams={"s": None}, config=config)


def test_counts_only_grow_however_often_workers_are_restarted() -> None:
    totals = Totals()
    seen = []
    for life in (
        worker(1, 10),
        worker(1, 25, dropped=2),
        worker(2, 3),
        worker(2, 3),
        worker(3, 0),
        worker(3, 30),
    ):
        totals.see({"p": life})
        totals.see({"p": life})  # the same report twice counts once
        seen.append(totals.counts("p", "s")["decoded"])
        resting = SimpleNamespace(lives=life.lives, metrics=None, streams={"s": None})
        totals.see({"p": resting})  # type: ignore[dict-item]
    assert seen == [10, 25, 28, 28, 28, 58]
    assert totals.dropped("p", "s") == {"stale": 2}
    totals.see({})
    assert totals.counts("p", "s") == {}
    assert totals.cpu_s("p") == {}


def test_the_last_report_of_a_worker_that_has_died_counts_once() -> None:
    """It is mostly looked at when the worker has no process id any more."""
    totals, pipeline = Totals(), worker(1, 10)
    totals.see({"p": pipeline})
    pipeline.metrics, pipeline.pid = worker(1, 100).metrics, None
    totals.see({"p": pipeline})
    assert totals.counts("p", "s")["decoded"] == 100
    totals.see({"p": worker(2, 5)})
    assert totals.counts("p", "s")["decoded"] == 105


def test_the_kernels_times_do_not_go_back() -> None:
    totals = Totals()
    assert totals.device_cpu_s(((5.0, 7.0),)) == ((5.0, 7.0),)
    assert totals.device_cpu_s(((5.5, 6.9),)) == ((5.5, 7.0),)
    assert totals.device_cpu_s(((1.0, 1.0), (2.0, 2.0))) == ((1.0, 1.0), (2.0, 2.0))  # one was switched on


def test_a_frames_time_is_an_average_of_the_last_minute_and_begins_anew_with_a_worker() -> None:
    times = FrameTimes()
    second = 1_000_000_000
    for at in range(200):
        slow = 0.05 * max(at - 100, 0) * 10
        pipeline = worker(1, 10 * at, infer_s=0.02 * 10 * min(at, 100) + slow, mono_ns=at * second)
        times.look({"p": pipeline}, at * second)
        if at == 99:
            assert times.of("p") == pytest.approx(20.0, rel=0.01)
    assert times.of("p") == pytest.approx(50.0, rel=0.01)
    times.look({"p": worker(2, 1, mono_ns=200 * second)}, 200 * second)
    assert times.of("p") is None
    times.look({"p": worker(2, 1 + LEAST_FRAMES, infer_s=0.3, mono_ns=201 * second)}, 201 * second)
    assert times.of("p") == pytest.approx(10.0)
    cascade = worker(2, 500, infer_s=9.0, mono_ns=202 * second)
    cascade.config.stage = ("x",)
    times.look({}, 202 * second)
    times.look({"p": cascade}, 203 * second)
    assert times.of("p") is None
