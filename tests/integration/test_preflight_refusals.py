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

import cv2
import numpy as np
import psutil
import pytest

from agent.cli.main import main
from agent.preflight.check import BundleCheck, Settings, Witness
from agent.preflight.report import Report
from agent.trust.ingest import ingest
from runtime import ipc
from runtime.errors import EdgewardError
from tests import models
from tests.conftest import ROOT, Signed, make_signed
from tests.integration import mischief
from tests.integration.agent_peers import wait_gone

pytestmark = pytest.mark.integration

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
    yield
    assert not psutil.Process().children(recursive=True)
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
    measuring = asyncio.Lock()
    steps: list[tuple[str, int]] = []

    async def one(name: str) -> Report:
        witness = Witness(on_step=lambda _, message: steps.append((name, message.done)))
        return await BundleCheck(
            bundle, ipc.EngineOptions(), settings(rounds=60), measuring=measuring, witness=witness
        ).run()

    await asyncio.gather(one("a"), one("b"))
    measured = [name for name, done in steps if done > 0]
    first = measured[0]
    assert set(measured) == {"a", "b"}
    assert measured.index("b" if first == "a" else "a") == measured.count(first), steps


BATCHES = """
[[variant]]
id = "batches"
engine = "mischief"
file = "batches.model"
input = [{ name = "x", dtype = "float32", shape = ["batch", 3, 32, 32] }]
output = [{ name = "y", dtype = "float32", shape = ["batch", 2] }]
[[variant]]
id = "reference"
engine = "onnxruntime"
file = "reference.onnx"
input = [{ name = "x", dtype = "float32", shape = [1, 3, 32, 32] }]
output = [{ name = "y", dtype = "float32", shape = [1, 2] }]
[preprocess]
fit = "stretch"
[postprocess]
decoder = "classification"
[golden]
frames = ["*.png"]
"""


@pytest.mark.parametrize(
    ("deed", "at_a_time", "passes"),
    [("right in batches", 4, True), ("lie in batches", 1, True), ("lie in batches", 4, False)],
)
async def test_answers_to_several_frames_at_a_time_are_compared_too(
    tmp_path: Path, deed: str, at_a_time: int, passes: bool
) -> None:
    author = tmp_path / "author"
    author.mkdir()
    answers = {"y": np.array([[0.125, 0.875]], np.float32)}
    (author / "reference.onnx").write_bytes(
        models.constant(answers, (models.Input("x", "float32", (1, 3, 32, 32)),))
    )
    (author / "batches.model").write_text(f"run:{deed}")
    (author / "labels.txt").write_text("nothing\nsomething\n")
    for at in range(6):
        picture = np.full((48, 64, 3), 30 * at, np.uint8)
        assert cv2.imwrite(str(author / f"{at}.png"), picture)
    head = '[bundle]\nname = "b"\nversion = "1.0.0"\nrelease_counter = 1\nlabels_file = "labels.txt"\n'
    (author / "bundle.toml").write_text(head + BATCHES)
    signed = make_signed(tmp_path, author, author / "batches.model")
    bundle = await ingest(signed.bundle, [signed.key], tmp_path / "store")
    check = BundleCheck(bundle, ipc.EngineOptions(), settings(rounds=30), max_batch=at_a_time)
    report = await check.run(["batches"])
    (found,) = report.variants
    assert found.batch == at_a_time
    assert (found.state == "passed") is passes, found
    if not passes:
        assert "with 4 frames at a time" in found.refusals[0].text
        assert found.refusals[0].code == "preflight.golden"


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
