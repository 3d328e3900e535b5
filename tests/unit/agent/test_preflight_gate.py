"""What passed is not tried again, what is stale is, and a refusal is not repeated in a tight loop."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.config import Preflight
from agent.preflight import gate as gate_module
from agent.preflight import record
from agent.preflight.check import Settings
from agent.preflight.gate import Asked, Gate
from agent.preflight.report import Budgets, Refusal, Report, VariantReport
from runtime import ipc
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError
from runtime.preflight.messages import GoldenFigures, LatencyFigures

pytestmark = pytest.mark.unit

BUNDLE = Ingested(
    name="belt",
    version="1.0.0",
    release_counter=1,
    digest="d" * 64,
    manifest_sha256="m" * 64,
    signed_by="",
    folder="/store/d",
    size=0,
    new=True,
)
LATENCY = LatencyFigures(rounds=30, width=8, height=8, p50_ms=1.0, p95_ms=2.0, max_ms=3.0, stages_ms={})
GOOD = VariantReport(id="fast", engine="e", precision="int8", state="passed", latency=LATENCY, batch=4)
BAD = VariantReport(
    id="bad",
    engine="e",
    precision="int8",
    state="refused",
    refusals=(Refusal("preflight.latency", "a frame takes 40.0 ms, over the budget of 15 ms"),),
)


def report(*variants: VariantReport, checked: bool = True) -> Report:
    chosen = next((one.id for one in variants if one.state == "passed"), "")
    return Report(
        name=BUNDLE.name,
        version=BUNDLE.version,
        digest=BUNDLE.digest,
        machine="x86_64",
        chosen=chosen,
        ranked=(chosen,) if chosen else (),
        checked=checked,
        budgets=Budgets(),
        memory_limit_mb=1000,
        variants=variants,
    )


class Device:
    """A gate whose checks give ``found`` and are counted: processes have tests of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, found: Report) -> None:
        self.folder = folder / "preflight"
        self.found = found
        self.checks = 0
        self.config = Preflight()
        device = self

        class Check:
            def __init__(self, *_: Any, **__: Any) -> None:
                pass

            async def run(self) -> Report:
                device.checks += 1
                await asyncio.sleep(0)  # others get their turn, as with a real one
                return device.found

        monkeypatch.setattr(gate_module, "BundleCheck", Check)
        self.restart()

    def restart(self, **settings: Any) -> None:
        self.gate = Gate(self.folder, self.config, **settings)

    def ask(self, **options: Any) -> str:
        engine = ipc.EngineOptions(**options)
        asked = Asked(label="line", bundle=BUNDLE, engine=engine, load_s=180.0)
        return asyncio.run(self.gate.passed(asked)).variant

    @property
    def file(self) -> Path:
        (found,) = self.folder.iterdir()
        return found


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(tmp_path, monkeypatch, report(BAD, GOOD))


def test_what_passed_is_known_to_the_agent_and_to_the_one_after_it(device: Device) -> None:
    assert [device.ask(), device.ask()] == ["fast", "fast"]
    device.restart()
    assert device.ask() == "fast"
    assert device.checks == 1
    assert device.file.stat().st_mode & 0o777 == 0o600
    assert device.file.name.startswith(BUNDLE.digest)
    assert json.loads(device.file.read_bytes())["report"]["chosen"] == "fast"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"format": 2}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_is_told_and_made_anew(
    device: Device, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    device.ask()
    device.file.write_bytes(damage)
    device.restart()
    assert device.ask() == "fast"
    assert device.checks == 2
    assert "is damaged" in caplog.text
    assert json.loads(device.file.read_bytes())["digest"] == BUNDLE.digest


def test_a_bundle_of_many_variants_that_say_a_lot_has_a_record_too(device: Device) -> None:
    said = msgspec.structs.replace(
        BAD,
        refusals=(Refusal("preflight.golden", "\u00e9" * 2000, "\u00e9" * 2000),),
        last_lines=("x" * 300,) * 5,
    )
    device.found = report(GOOD, *(msgspec.structs.replace(said, id=f"v{at}") for at in range(99)))
    device.ask()
    device.restart()
    assert device.ask() == "fast"
    assert device.checks == 1


def test_a_record_of_another_bundle_does_not_count(device: Device) -> None:
    device.ask()
    document = json.loads(device.file.read_bytes())
    document["report"]["digest"] = "e" * 64
    device.file.write_text(json.dumps(document))
    device.restart()
    device.ask()
    assert device.checks == 2


@pytest.mark.parametrize(
    "edited",
    [
        {"chosen": "bad"},
        {"ranked": ["fast", "bad"]},
        {"chosen": "nobody", "ranked": ["nobody"]},
        {"variants": [VariantReport(id="fast", engine="e", precision="", state="passed")]},
        {
            "variants": [
                msgspec.structs.replace(BAD, id="fast", state="passed", latency=LATENCY),
            ]
        },
        {
            "variants": [
                msgspec.structs.replace(GOOD, golden=GoldenFigures(passed=False, frames=9, why="wrong")),
            ]
        },
    ],
)
def test_a_record_whose_verdict_does_not_follow_from_its_figures_does_not_count(
    device: Device, edited: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    device.ask()
    document = json.loads(device.file.read_bytes())
    document["report"] |= msgspec.to_builtins(edited)
    device.file.write_text(json.dumps(document))
    device.restart()
    assert device.ask() == "fast"
    assert device.checks == 2
    assert "does not follow from its figures" in caplog.text


def test_a_refusal_stands_no_longer_than_this_agent_lets_it(device: Device) -> None:
    device.found = report(BAD)
    with pytest.raises(EdgewardError):
        device.ask()
    document = json.loads(device.file.read_bytes())
    document |= {"stands_s": 1e12, "at": time.time() - 1000}
    device.file.write_text(json.dumps(document))
    device.restart()
    device.found = report(GOOD)
    assert device.ask() == "fast"


def test_a_worker_takes_no_more_pictures_at_a_time_than_were_looked_at(device: Device) -> None:
    asked = Asked(label="line", bundle=BUNDLE, engine=ipc.EngineOptions(), load_s=180.0, max_batch=8)
    assert asyncio.run(device.gate.passed(asked)) == ("fast", 4)
    device.restart()
    assert asyncio.run(device.gate.passed(asked)) == ("fast", 4), "from the record too"
    fewer = Asked(label="line", bundle=BUNDLE, engine=ipc.EngineOptions(), load_s=180.0, max_batch=2)
    assert asyncio.run(device.gate.passed(fewer)) == ("fast", 2)
    device.config = Preflight(enabled=False)
    device.restart()
    assert asyncio.run(device.gate.passed(asked)) == ("", 8)


def test_other_options_are_tried_by_themselves(device: Device) -> None:
    device.ask()
    device.ask(threads=2)
    device.ask(provider="cuda")
    assert device.checks == 3
    device.ask(threads=2, cache_dir="/elsewhere")
    assert device.checks == 3, "where engines keep what they compiled changes no answer"


def test_a_refusal_says_its_figures_and_stands_for_a_while(device: Device) -> None:
    device.found = report(BAD)
    for _ in range(3):
        with pytest.raises(EdgewardError, match=r"takes 40\.0 ms, over the budget of 15 ms") as refused:
            device.ask()
        assert refused.value.code is Code.PREFLIGHT_LATENCY
    assert device.checks == 1
    device.restart()
    with pytest.raises(EdgewardError):
        device.ask()
    assert device.checks == 1, "an agent that starts again and again does not try it each time"


def test_a_refusal_is_tried_again_when_its_time_is_over(device: Device) -> None:
    device.found = report(BAD)
    device.restart(refusal_stands_s=0.0)
    for _ in range(2):
        with pytest.raises(EdgewardError):
            device.ask()
    device.found = report(GOOD)
    assert device.ask() == "fast"
    assert device.checks == 3


@pytest.mark.parametrize(
    ("code", "stands_s"),
    [
        # What was busy or hot may not be so in a minute; wrong answers stay wrong.
        ("preflight.latency", [60, 120, 240, 480, 900, 900]),
        ("preflight.memory", [60, 120, 240, 480, 900, 900]),
        ("preflight.timeout", [60, 120, 240, 480, 900, 900]),
        ("preflight.golden", [900, 900]),
        ("preflight.crashed", [900, 900]),
        ("model.load", [900, 900]),
        # The bundle is verified anew before the next try, which mends a damaged store.
        ("bundle.digest", [0, 0]),
        ("system.io", [0, 0]),
    ],
)
def test_how_long_a_refusal_stands_follows_from_its_reason(
    device: Device, monkeypatch: pytest.MonkeyPatch, code: str, stands_s: list[int]
) -> None:
    now = 1e9
    monkeypatch.setattr(record.time, "time", lambda: now)
    device.found = report(msgspec.structs.replace(BAD, refusals=(Refusal(code, "why"),)))
    for at, seconds in enumerate(stands_s):
        with pytest.raises(EdgewardError):
            device.ask()
        assert device.checks == at + 1
        kept = json.loads(device.file.read_bytes())
        assert (kept["stands_s"], kept["attempt"]) == (seconds, at + 1)
        if seconds:
            now += seconds - 1
            device.restart()
            with pytest.raises(EdgewardError):
                device.ask()
            assert device.checks == at + 1
        now += 1


@pytest.mark.parametrize("moved_s", [-1e7, 1e7])
def test_a_clock_that_was_wrong_makes_a_refusal_no_older_than_it_is(device: Device, moved_s: float) -> None:
    device.found = report(BAD)
    with pytest.raises(EdgewardError):
        device.ask()
    document = json.loads(device.file.read_bytes())
    document["at"] = time.time() + moved_s
    device.file.write_text(json.dumps(document))
    device.restart()
    device.found = report(GOOD)
    assert device.ask() == "fast"


def test_switched_off_the_configured_variant_runs_untried(device: Device) -> None:
    device.config = Preflight(enabled=False)
    device.restart()
    assert [device.ask(), device.ask(variant="int8")] == ["", "int8"]
    assert device.checks == 0


def test_that_nobody_checked_the_answers_is_told_at_each_start(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.found = report(GOOD, checked=False)
    device.ask()
    device.restart()
    caplog.clear()
    device.ask()
    assert "nobody checked whether its answers are right" in caplog.text


def test_a_disk_that_takes_no_record_keeps_nothing_from_running(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.folder.write_text("a file where the folder should be")
    assert device.ask() == "fast"
    assert "cannot be kept" in caplog.text


def test_old_records_go_when_there_are_many(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_RECORDS", 2)
    for threads in (1, 2, 3):
        device.ask(threads=threads)
        newest = max(device.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, ns=(threads, threads))  # a clock that is coarse must not decide
    assert len(list(device.folder.iterdir())) == 2


def test_a_key_changes_with_whatever_may_change_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> str:
        return record.key_of(ipc.EngineOptions(), Settings(), 1)

    first = key()
    assert key() == first
    assert record.key_of(ipc.EngineOptions(threads=2), Settings(), 1) != first
    assert record.key_of(ipc.EngineOptions(), Settings(require_golden=True), 1) != first
    assert record.key_of(ipc.EngineOptions(), Settings(), 2) != first
    delegate = tmp_path / "npu.so"
    with_delegate = ipc.EngineOptions(delegates=(ipc.Delegate(path=str(delegate)),))
    delegate.write_bytes(b"1")
    before = record.key_of(with_delegate, Settings(), 1)
    assert before == record.key_of(with_delegate, Settings(), 1)
    delegate.write_bytes(b"22")
    assert record.key_of(with_delegate, Settings(), 1) != before, "another file"
    monkeypatch.setattr(record.platform, "release", lambda: "9.9")
    other_kernel = key()
    assert other_kernel != first
    (tmp_path / "onnxruntime-9.9.9.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert key() != other_kernel, "an engine of another version"


def test_two_pipelines_that_ask_for_the_same_have_it_tried_once(device: Device) -> None:
    asked = Asked(label="line", bundle=BUNDLE, engine=ipc.EngineOptions(), load_s=180.0)

    async def both() -> list[str]:
        found = await asyncio.gather(device.gate.passed(asked), device.gate.passed(asked))
        return [one.variant for one in found]

    assert asyncio.run(both()) == ["fast", "fast"]
    assert device.checks == 1


def test_a_record_holds_what_a_report_holds(device: Device) -> None:
    device.ask()
    kept = msgspec.json.decode(device.file.read_bytes(), type=record.Record)
    assert kept.report == device.found
