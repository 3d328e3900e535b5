"""What the preflight child measures, and that what it reads is what was signed."""

from __future__ import annotations

import collections
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from runtime.bundle.check import parse_manifest
from runtime.bundle.manifest import Manifest
from runtime.errors import Code, EdgewardError
from runtime.preflight import latency, memory
from runtime.preflight.examination import ramp
from runtime.preflight.messages import MIN_ROUNDS, LatencyFigures
from runtime.preflight.signed_stream import open_signed
from runtime.source.frame import Frame
from runtime.stages import StageClock

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(latency.time, "perf_counter", lambda: self.now)


def measured(
    clock: Clock, costs_s: list[float], rounds: int, at_most_s: float = 10.0, last_s: float = 1e6
) -> LatencyFigures:
    """With a frame that costs each of ``costs_s`` by turns; the rounds for warming up cost a second each."""
    calls = 0
    stages = StageClock()

    def once(_: Frame) -> None:
        nonlocal calls
        cost = 1.0 if calls < latency.WARM_UP else costs_s[(calls - latency.WARM_UP) % len(costs_s)]
        calls += 1
        clock.now += cost
        stages.wall_s["infer"] += cost / 2

    def tell(_: int) -> None:
        clock.now += 0.001  # must not count

    return latency.measured(once, [ramp()], stages, rounds, at_most_s, last_s, tell)


def test_quantiles_are_those_of_all_rounds_and_the_first_ones_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = [at / 1000 for at in range(1, 101)]
    found = measured(Clock(monkeypatch), costs, 100)
    assert (found.rounds, found.p50_ms, found.p95_ms, found.max_ms) == (100, 50.0, 95.0, 100.0)
    assert found.stages_ms == {"infer": 25.25}
    assert (found.width, found.height) == (1920, 1080)


def test_a_slow_model_is_measured_over_fewer_rounds_yet_never_too_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert measured(Clock(monkeypatch), [0.1], 1000).rounds == 100
    assert measured(Clock(monkeypatch), [5.0], 1000).rounds == MIN_ROUNDS
    assert measured(Clock(monkeypatch), [5.0], 40, at_most_s=1e6).rounds == 40


@pytest.mark.parametrize(("cost_s", "rounds"), [(2.5, 16), (20.0, 2), (100.0, 1)])
def test_a_model_that_takes_seconds_for_a_frame_has_figures_before_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch, cost_s: float, rounds: int
) -> None:
    found = measured(Clock(monkeypatch), [cost_s], 100, last_s=45.0)
    assert (found.rounds, found.p95_ms) == (rounds, cost_s * 1e3)


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(1, 0.95, 1), (20, 0.95, 19), (30, 0.95, 29), (3, 0.5, 2), (2, 0.5, 1)]
)
def test_a_quantile_is_the_smallest_that_the_share_does_not_exceed(
    count: int, share: float, expected: int
) -> None:
    assert latency.quantile(range(1, count + 1), share) == expected


def test_memory_is_what_the_kernel_says() -> None:
    pss = memory.pss_mb()
    assert pss is None or 1 < pss <= memory.peak_mb()


def manifest(files: dict[str, bytes]) -> Manifest:
    """With these files, of which the first is the model."""
    entries: list[dict[str, Any]] = [
        {
            "path": name,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "role": "model" if at == 0 else "golden",
        }
        for at, (name, data) in enumerate(files.items())
    ]
    spec = {"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]}
    document = {
        "schema": 1,
        "name": "b",
        "version": "1.0.0",
        "release_counter": 1,
        "task": "tensors",
        "files": entries,
        "variants": [
            {"id": "v", "engine": "e", "file": next(iter(files)), "inputs": [spec], "outputs": [spec]}
        ],
        "preprocess": {},
        "postprocess": {"decoder": "tensors"},
    }
    return parse_manifest(json.dumps(document).encode(), where="b")


def test_a_file_is_read_whole_piece_by_piece_when_it_is_the_one_that_was_signed(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "a.y4m").write_bytes(data)
    known = manifest({"m.onnx": b"m", "a.y4m": data})
    with open_signed(tmp_path, known, "a.y4m") as stream:
        pieces = []
        while piece := stream.read(1_000_003):
            pieces.append(piece)
    assert b"".join(pieces) == data


@pytest.mark.parametrize("change", ["other", "longer", "shorter"])
def test_a_file_that_changed_since_it_was_verified_is_an_error_before_its_end(
    tmp_path: Path, change: str
) -> None:
    data = bytes(1 << 21)
    changed = {"other": data[:-1] + b"x", "longer": data + b"x", "shorter": data[:-1]}[change]
    (tmp_path / "a.y4m").write_bytes(changed)
    known = manifest({"m.onnx": b"m", "a.y4m": data})
    with open_signed(tmp_path, known, "a.y4m") as stream, pytest.raises(EdgewardError) as refused:
        collections.deque(iter(lambda: stream.read(1 << 16), b""), maxlen=0)
    assert refused.value.code is Code.BUNDLE_DIGEST


def test_a_file_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    known = manifest({"m.onnx": b"m", "a.y4m": b"x"})
    with pytest.raises(EdgewardError, match=r"a\.y4m") as refused:
        open_signed(tmp_path, known, "a.y4m")
    assert refused.value.code is Code.BUNDLE_UNREADABLE
