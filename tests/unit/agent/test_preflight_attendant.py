"""What an attendant makes of figures that are none, and of a process that cannot be killed."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, cast

import msgspec
import pytest

from agent.preflight import attendant
from agent.workers.process import WorkerProcess
from runtime.preflight.messages import Examined, GoldenFigures, LatencyFigures, Step

pytestmark = pytest.mark.unit

LATENCY = LatencyFigures(
    rounds=30, width=8, height=8, p50_ms=1.0, p95_ms=2.0, max_ms=3.0, stages_ms={"infer": 1.0}
)
GOOD = Examined(
    variant="v",
    engine="e",
    provider="CPU",
    load_ms=1.0,
    batch=1,
    golden=None,
    latency=LATENCY,
    peak_mb=10.0,
    pss_mb=None,
)


@pytest.mark.parametrize(
    ("changes", "step", "sense"),
    [
        ({}, "latency", True),
        ({"load_ms": math.nan}, "latency", False),
        ({"peak_mb": math.inf}, "latency", False),
        ({"pss_mb": math.nan}, "latency", False),
        ({"load_ms": -1.0}, "latency", False),
        ({"latency": msgspec.structs.replace(LATENCY, p95_ms=math.nan)}, "latency", False),
        ({"latency": msgspec.structs.replace(LATENCY, p50_ms=-1.0)}, "latency", False),
        ({"latency": msgspec.structs.replace(LATENCY, p50_ms=2.5)}, "latency", False),
        ({"latency": msgspec.structs.replace(LATENCY, max_ms=math.inf)}, "latency", False),
        ({"latency": msgspec.structs.replace(LATENCY, rounds=0)}, "latency", False),
        ({"latency": msgspec.structs.replace(LATENCY, stages_ms={"infer": math.nan})}, "latency", False),
        ({"latency": None}, "latency", False),
        ({"latency": None, "golden": GoldenFigures(passed=False, frames=1, why="x")}, "golden", True),
        ({"latency": None, "golden": GoldenFigures(passed=True, frames=1)}, "golden", False),
        ({"golden": GoldenFigures(passed=False, frames=1, why="x")}, "latency", False),
        ({"golden": GoldenFigures(passed=True, frames=1, figures={"x": math.nan})}, "latency", False),
        # Before it was told to measure, of another variant, or without end.
        ({}, "load", False),
        ({}, "golden", False),
        ({"variant": "another"}, "latency", False),
        ({"provider": "x" * 10_000}, "latency", False),
        ({"golden": GoldenFigures(passed=True, frames=1, why="x" * 10_000)}, "latency", False),
        (
            {"latency": msgspec.structs.replace(LATENCY, stages_ms={f"{at}": 1.0 for at in range(999)})},
            "latency",
            False,
        ),
    ],
)
def test_figures_that_cannot_be_are_no_answer(changes: dict[str, Any], step: Step, sense: bool) -> None:
    assert attendant._makes_sense(msgspec.structs.replace(GOOD, **changes), "v", step) is sense


def test_a_process_that_hangs_in_the_kernel_is_left_behind_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unkillable:
        """No driver here hangs; the one promise is that the agent does not wait for ever."""

        pid = 4711

        async def stop(self, _grace_s: float) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(attendant, "_GONE_WITHIN_S", 0.05)
    began = time.monotonic()
    asyncio.run(attendant._gone(cast("WorkerProcess", Unkillable())))
    assert time.monotonic() - began < 5
    assert "process 4711 cannot be killed" in caplog.text
