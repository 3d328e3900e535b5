"""Whatever a variant does to its process is a refusal with a reason, in time, and harms nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.cli.main import main
from agent.preflight.attendant import Attendant, Bounds
from agent.preflight.check import BundleCheck, Settings, Witness
from agent.preflight.report import Refusal, Report
from agent.preflight.turns import Turns
from agent.trust.ingest import ingest
from agent.workers.process import WorkerProcess
from runtime import ipc
from runtime.errors import EdgewardError
from tests.conftest import ROOT, Signed
from tests.integration import mischief
from tests.integration.agent_peers import wait_gone

pytestmark = [pytest.mark.integration, pytest.mark.command]

DEADLINE_S = 5.0
# To start a process and to end it, on a machine that has other things to do.
SLACK_S = 10.0


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mischief.install(tmp_path / "site", monkeypatch)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process of ours outlives its test, and no descriptor."""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    # Python's own helper of processes that were spawned by another test lives as long as we do.
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors


async def checked(
    signed: Signed, store: Path, settings: Settings, **options: str
) -> tuple[Report, list[int]]:
    bundle = await ingest(signed.bundle, [signed.key], store)
    pids: list[int] = []
    check = BundleCheck(bundle, ipc.EngineOptions(**options), settings, witness=Witness(on_start=pids.append))
    return await check.run(), pids


def settings(**changes: float) -> Settings:
    return Settings(**{"load_s": DEADLINE_S, "deadline_s": DEADLINE_S, "memory_mb": 400.0, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("deed", "code", "says"),
    [
        ("abort", "preflight.crashed", "while loading: killed by SIGABRT"),
        ("native abort", "preflight.crashed", "while loading: killed by SIGABRT"),
        ("run:abort", "preflight.crashed", "while loading: killed by SIGABRT"),
        ("segfault", "preflight.crashed", "killed by SIGSEGV"),
        ("child", "preflight.crashed", "killed by SIGABRT"),
        ("exit", "preflight.crashed", "exit status 0"),
        ("close", "preflight.crashed", "it closed its end and went on"),
        ("sleep", "preflight.timeout", "loading did not end within 5 s"),
        ("sleep deaf", "preflight.timeout", "loading did not end within 5 s"),
        ("burn", "preflight.timeout", "loading did not end within 5 s"),
        ("run:late sleep", "preflight.timeout", "measuring its latency did not end within 5 s"),
        ("eat", "preflight.memory", "over this device's limit of 400 MB"),
        ("print", "preflight.misbehaved", "printed more than 2 MiB while loading"),
        ("garbage", "preflight.misbehaved", "talked nonsense"),
        ("endless frame", "preflight.misbehaved", "talked nonsense"),
        ("lie", "preflight.misbehaved", "talked nonsense while loading"),
        ("forge", "preflight.misbehaved", "talked nonsense while loading"),
        ("raise", "model.load", "no such operator"),
        ("run:raise", "model.run", "no such operator"),
    ],
)
async def test_what_a_variant_does_is_a_refusal_within_its_deadline(
    tmp_path: Path, deed: str, code: str, says: str
) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"bad": deed, "good": "run:"})
    began = time.monotonic()
    report, pids = await checked(signed, tmp_path / "store", settings())
    took = time.monotonic() - began
    bad, good = report.variants
    assert bad.state == "refused"
    (refusal,) = bad.refusals
    assert refusal.code == code
    assert says in refusal.text
    assert took < 2 * DEADLINE_S + SLACK_S
    assert (good.state, report.chosen) == ("passed", "good"), "the one beside it is none the worse"
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_memory_is_taken_away_before_much_of_it_is_gone(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"bad": "eat"})
    report, _ = await checked(signed, tmp_path / "store", settings(memory_mb=300.0, load_s=30.0))
    (bad,) = report.variants
    assert bad.refusals[0].code == "preflight.memory"
    assert bad.pss_mb is not None
    assert 300 < bad.pss_mb < 450, "it is looked at twenty times a second"


async def test_no_core_is_left_by_one_that_aborts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    monkeypatch.chdir(tmp_path)
    signed = mischief.bundle(tmp_path / "bundle", {"bad": "abort"})
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        await checked(signed, tmp_path / "store", settings())
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert not list(tmp_path.glob("core*"))


async def test_one_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"bad": "sleep"})
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    started: asyncio.Queue[int] = asyncio.Queue()
    witness = Witness(on_start=started.put_nowait)
    check = BundleCheck(bundle, ipc.EngineOptions(variant="bad"), settings(load_s=600.0), witness=witness)
    task = asyncio.create_task(check.run())
    await started.get()  # that lists the variants
    pid = await started.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_children_of_a_command_that_is_ended_end_with_it(tmp_path: Path, number: signal.Signals) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"bad": "sleep deaf"})
    command = [sys.executable, "-m", "agent.cli.main", "preflight", str(signed.bundle)]
    command += ["--key", str(signed.key), "--deadline", "600"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    paths = f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(scratch)}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env=environment)
    try:
        child = _examining(process.pid)
        process.send_signal(number)
        status = process.wait(15)
    finally:
        process.kill()
        process.wait(15)
    wait_gone(child.pid)
    if number != signal.SIGKILL:
        assert status == 128 + number
        assert not list(scratch.iterdir()), "the bundle that was unpacked is gone"


def _examining(command: int) -> psutil.Process:
    """The child that has loaded its variant and sleeps."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in psutil.Process(command).children():
            with contextlib.suppress(psutil.Error):
                # It blocks every signal, which nothing but the variant does.
                status = Path(f"/proc/{child.pid}/status").read_text()
                blocked = next(line for line in status.splitlines() if line.startswith("SigBlk:"))
                if int(blocked.split()[1], 16).bit_count() > 20:
                    return child
        time.sleep(0.05)
    raise AssertionError("no child examines anything")


async def test_only_the_variant_that_is_forced_is_tried(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"bad": "abort", "good": "run:"})
    report, _ = await checked(signed, tmp_path / "store", settings(), variant="bad")
    assert [variant.id for variant in report.variants] == ["bad"]
    refused = report.refused()
    assert refused is not None
    assert refused.code.text == "preflight.crashed"
    with pytest.raises(EdgewardError, match="there is no variant 'worse', there are bad, good"):
        await checked(signed, tmp_path / "store", settings(), variant="worse")


async def test_a_budget_is_held_against_what_was_measured(tmp_path: Path) -> None:
    budgets = "[budgets]\nlatency_p95_ms = 15\nmemory_mb = 20\nload_ms = 0.5\n"
    signed = mischief.bundle(tmp_path / "bundle", {"slow": "run:slow"}, budgets)
    report, _ = await checked(signed, tmp_path / "store", settings(rounds=30))
    (slow,) = report.variants
    assert [refusal.code for refusal in slow.refusals] == [
        "preflight.latency",
        "preflight.memory",
        "preflight.load",
    ]
    assert slow.latency is not None
    assert slow.latency.p95_ms > 20
    assert f"takes up to {slow.latency.p95_ms:.1f} ms for 95 % of 30 frames" in slow.refusals[0].text
    assert f"takes up to {slow.peak_mb:.0f} MB" in slow.refusals[1].text
    assert f"took {slow.load_ms:.0f} ms to load" in slow.refusals[2].text
    assert slow.latency.rounds == 30


async def test_two_that_measure_at_a_time_take_turns(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"slow": "run:slow"})
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    turns = Turns(patience_s=0.0)  # both are ready to measure at about the same time
    steps: list[tuple[str, int]] = []

    async def one(name: str) -> Report:
        witness = Witness(on_step=lambda _, message: steps.append((name, message.done)))
        return await BundleCheck(
            bundle, ipc.EngineOptions(), settings(rounds=60), turns=turns, witness=witness
        ).run()

    await asyncio.gather(one("a"), one("b"))
    measured = [name for name, done in steps if done > 0]
    first = measured[0]
    assert set(measured) == {"a", "b"}
    assert measured.index("b" if first == "a" else "a") == measured.count(first), steps


@pytest.mark.parametrize(
    ("deed", "budget"),
    [("slow at first", "load_ms = 2500"), ("run:hiccups at first", "latency_p95_ms = 50")],
)
async def test_what_may_have_been_bad_luck_is_looked_at_twice(tmp_path: Path, deed: str, budget: str) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"one": deed}, f"[budgets]\n{budget}\n")
    (tmp_path / "cache").mkdir()
    report, pids = await checked(
        signed, tmp_path / "store", settings(load_s=30.0), cache_dir=str(tmp_path / "cache")
    )
    assert report.chosen == "one"
    assert len(pids) == 3, "the list, and the variant twice"
    assert not report.variants[0].refusals


async def test_while_one_is_tried_no_other_disturbs_it(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"one": "run:", "other": "abort"})
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    turns = Turns()
    started: list[int] = []

    def start(pid: int) -> None:
        assert not any(psutil.pid_exists(before) for before in started)
        started.append(pid)

    async def one() -> Report:
        witness = Witness(on_start=start)
        return await BundleCheck(
            bundle, ipc.EngineOptions(), settings(rounds=30), turns=turns, witness=witness
        ).run()

    reports = await asyncio.gather(one(), one(), one())
    assert [report.chosen for report in reports] == ["one"] * 3
    assert len(started) == 9


async def test_one_that_hangs_does_not_keep_others_waiting(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"hangs": "sleep", "good": "run:"})
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    turns = Turns(patience_s=1.0)

    def check(variant: str) -> BundleCheck:
        options = ipc.EngineOptions(variant=variant)
        return BundleCheck(bundle, options, settings(rounds=30, load_s=600.0), turns=turns)

    hangs = asyncio.create_task(check("hangs").run())
    report = await asyncio.wait_for(check("good").run(), 30)
    assert report.chosen == "good"
    assert not hangs.done()
    hangs.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hangs


async def test_one_that_was_ended_for_its_memory_has_not_answered(tmp_path: Path) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"good": "run:"})
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    why = Refusal("preflight.memory", "took 500 MB")

    class Late(Attendant):
        async def _answer(self, worker: WorkerProcess, *rest: Any) -> Any:
            found = await super()._answer(worker, *rest)
            self._kill(worker, why)  # as the watch does, which looks only now and then
            return found

    task = ipc.Examine(bundle_dir=bundle.folder, manifest_sha256=bundle.manifest_sha256)
    attended = await Late(Bounds(load_s=60, step_s=60, memory_mb=400), Turns()).examine(task)
    assert (attended.answer, attended.refusal) == (None, why)


def test_the_command_says_it_in_a_table_in_json_and_by_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = mischief.bundle(tmp_path / "bundle", {"bad": "abort", "good": "run:"})
    capsys.readouterr()
    command = [
        "preflight",
        str(signed.bundle),
        "--key",
        str(signed.key),
        "--deadline",
        "20",
        "--rounds",
        "30",
    ]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "bad refused: its process ended while loading: killed by SIGABRT" in said.out
    assert "good is the one to run" in said.out
    assert "nobody checked" in said.err

    assert main([*command, "--variant", "bad", "--json"]) == 14
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["chosen"], document["variants"][0]["state"]) == ("", "refused")
    assert json.loads(said.err)["error"]["code"] == "preflight.crashed"

    assert main([*command, "--require-golden"]) == 14
    assert "[preflight.unchecked]" in capsys.readouterr().err
