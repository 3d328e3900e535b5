"""Figures become verdicts: budgets, the order of those that pass, and the error when none does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agent.preflight.report import Budgets, Refusal, Report, VariantReport, bad_luck, budgets, judged, ranked
from agent.preflight.table import table
from runtime.errors import Code
from runtime.preflight.messages import Candidate, Candidates, Examined, GoldenFigures, LatencyFigures

pytestmark = pytest.mark.unit


def latency(p50: float, p95: float | None = None) -> LatencyFigures:
    return LatencyFigures(
        rounds=100, width=640, height=480, p50_ms=p50, p95_ms=p95 or p50, max_ms=99, stages_ms={"infer": p50}
    )


def examined(**changes: Any) -> Examined:
    found = Examined(
        variant="a",
        engine="e",
        provider="CPU",
        load_ms=100.0,
        batch=1,
        golden=GoldenFigures(passed=True, frames=7, figures={"matched": 1.0}, why="matched 1 (at least 0.9)"),
        latency=latency(10.0, 20.0),
        peak_mb=50.0,
        pss_mb=40.0,
    )
    return msgspec.structs.replace(found, **changes)


def verdict(allowed: Budgets, **changes: Any) -> VariantReport:
    candidate = Candidate(id="a", engine="e", precision="int8")
    return judged(candidate, examined(**changes), allowed, pss_mb=45.0)


def report(*variants: VariantReport, checked: bool = True) -> Report:
    order = ranked(variants)
    return Report(
        name="belt",
        version="1.2.3",
        digest="d",
        machine="x86_64",
        chosen=order[0] if order else "",
        ranked=order,
        checked=checked,
        budgets=Budgets(),
        memory_limit_mb=1000,
        variants=variants,
    )


def passed(name: str, p50: float) -> VariantReport:
    return VariantReport(id=name, engine="e", precision="int8", state="passed", latency=latency(p50))


def refused(name: str, code: Code, text: str = "why", remedy: str = "") -> VariantReport:
    state = "unfit" if code is Code.ENGINE_UNAVAILABLE else "refused"
    return VariantReport(
        id=name,
        engine="e",
        precision="int8",
        state=state,  # type: ignore[arg-type]
        refusals=(Refusal(code.text, text, remedy),),
    )


@pytest.mark.parametrize(
    ("allowed", "changes", "codes", "says"),
    [
        (Budgets(), {}, [], ""),
        (Budgets(latency_p95_ms=20.0, memory_mb=50.0, load_ms=100.0), {}, [], ""),
        (
            Budgets(latency_p95_ms=19.9),
            {},
            ["preflight.latency"],
            "up to 20.0 ms for 95 % of 100 frames (median 10.0 ms)",
        ),
        (Budgets(memory_mb=49.9), {}, ["preflight.memory"], "up to 50 MB of memory, over the budget of 49.9"),
        (Budgets(load_ms=99.0), {}, ["preflight.load"], "took 100 ms to load, over the budget of 99 ms"),
        (
            Budgets(latency_p95_ms=1.0, memory_mb=1.0, load_ms=1.0),
            {},
            ["preflight.latency", "preflight.memory", "preflight.load"],
            "",
        ),
        (
            Budgets(),
            {"golden": GoldenFigures(passed=False, frames=7, why="matched 0.1"), "latency": None},
            ["preflight.golden"],
            "to 7 golden frames: matched 0.1",
        ),
        (Budgets(), {"golden": None}, [], ""),
    ],
)
def test_a_variant_is_held_against_the_budgets(
    allowed: Budgets, changes: dict[str, Any], codes: list[str], says: str
) -> None:
    found = verdict(allowed, **changes)
    assert [refusal.code for refusal in found.refusals] == codes
    assert found.state == ("refused" if codes else "passed")
    assert says in " ".join(refusal.text for refusal in found.refusals)
    assert found.pss_mb == 45.0, "the most that was seen, from outside or inside"


def test_the_tighter_of_two_budgets_counts() -> None:
    candidates = Candidates(variants=(), latency_p95_ms=30.0, memory_mb=200.0)
    assert budgets(candidates) == Budgets(latency_p95_ms=30.0, memory_mb=200.0)
    assert budgets(candidates, latency_ms=10.0).latency_p95_ms == 10.0
    assert budgets(candidates, latency_ms=40.0).latency_p95_ms == 30.0
    assert budgets(Candidates(variants=()), latency_ms=40.0) == Budgets(latency_p95_ms=40.0)


@pytest.mark.parametrize(
    ("medians", "order"),
    [
        ({"a": 30.0, "b": 10.0, "c": 20.0}, ("b", "c", "a")),
        ({"a": 10.4, "b": 10.0, "c": 20.0}, ("a", "b", "c")),
        ({"a": 10.6, "b": 10.0}, ("b", "a")),
        ({}, ()),
    ],
)
def test_the_fastest_comes_first_and_the_authors_order_decides_among_equals(
    medians: dict[str, float], order: tuple[str, ...]
) -> None:
    assert ranked([passed(name, p50) for name, p50 in medians.items()]) == order


def test_what_was_refused_is_not_ranked_however_fast() -> None:
    bad = msgspec.structs.replace(refused("a", Code.PREFLIGHT_GOLDEN), latency=latency(1.0))
    assert ranked([bad, passed("b", 10.0)]) == ("b",)


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        ([refused("a", Code.PREFLIGHT_GOLDEN)], Code.PREFLIGHT_GOLDEN),
        (
            [refused("a", Code.PREFLIGHT_TIMEOUT), refused("b", Code.PREFLIGHT_TIMEOUT)],
            Code.PREFLIGHT_TIMEOUT,
        ),
        ([refused("a", Code.PREFLIGHT_GOLDEN), refused("b", Code.MODEL_LOAD)], Code.PREFLIGHT_REFUSED),
        ([refused("a", Code.MODEL_LOAD), refused("b", Code.ENGINE_UNAVAILABLE)], Code.MODEL_LOAD),
        (
            [refused("a", Code.ENGINE_UNAVAILABLE), refused("b", Code.ENGINE_UNAVAILABLE)],
            Code.ENGINE_UNAVAILABLE,
        ),
    ],
)
def test_when_none_passes_the_error_has_the_reason_that_all_share(
    variants: list[VariantReport], code: Code
) -> None:
    error = report(*variants).refused()
    assert error is not None
    assert error.code is code
    assert "variant 'a' why" in error.what
    assert error.where == "belt 1.2.3"
    assert error.remedy


def test_the_error_of_a_bundle_with_many_variants_stays_short() -> None:
    many = [refused(f"v{at}", Code.PREFLIGHT_GOLDEN, "x" * 200) for at in range(100)]
    error = report(*many).refused()
    assert error is not None
    assert len(error.what) < 3000
    assert error.what.endswith("92 more variants are refused as well")


def test_memory_that_was_seen_from_outside_counts_as_well() -> None:
    found = verdict(Budgets(memory_mb=44.0), peak_mb=0.0)
    assert [refusal.code for refusal in found.refusals] == ["preflight.memory"]
    assert "takes up to 45 MB" in found.refusals[0].text


@pytest.mark.parametrize(
    ("p50", "p95", "load_ms", "memory_mb", "luck"),
    [
        (10.0, 20.0, 100.0, 50.0, True),  # a slow tail
        (16.0, 20.0, 100.0, 50.0, False),  # slow altogether
        (10.0, 12.0, 900.0, 50.0, True),  # loaded for the first time
        (10.0, 20.0, 100.0, 90.0, False),  # memory is no matter of luck
        (10.0, 12.0, 100.0, 50.0, False),  # not refused
    ],
)
def test_a_slow_tail_and_a_first_load_may_be_bad_luck(
    p50: float, p95: float, load_ms: float, memory_mb: float, luck: bool
) -> None:
    allowed = Budgets(latency_p95_ms=15.0, memory_mb=60.0, load_ms=500.0)
    found = verdict(allowed, latency=latency(p50, p95), load_ms=load_ms, peak_mb=memory_mb)
    assert bad_luck(found, allowed) is luck


def test_there_is_no_error_when_one_passes() -> None:
    assert report(refused("a", Code.PREFLIGHT_GOLDEN), passed("b", 1.0)).refused() is None


def test_the_table_names_every_variant_its_verdict_and_each_reason() -> None:
    slow = passed("slow", 30.0)
    text = table(
        report(
            refused("int8", Code.PREFLIGHT_GOLDEN, "matched 0.1"),
            slow,
            passed("fast", 10.0),
            refused("npu", Code.ENGINE_UNAVAILABLE, "is for aarch64"),
            checked=False,
        )
    )
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert rows["fast"].endswith("chosen")
    assert rows["slow"].endswith("passed")
    assert rows["int8"].endswith("refused")
    assert rows["npu"].endswith("unfit")
    assert list(rows)[1:] == ["fast", "slow", "int8", "npu"], "best first, what cannot run at all last"
    assert "10.0 ms" in rows["fast"]
    assert "not checked" in rows["fast"]
    assert "int8 refused: matched 0.1 [preflight.golden]" in text
    assert "npu does not fit: is for aarch64 [engine.unavailable]" in text
    assert text.endswith("fast is the one to run, before slow\n")
