"""From a worker's messages to figures a frame: nothing counted twice, nothing lost, nothing made up."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.bench_measure import WARM_UP, Latency, Measurement
from agent.cli.bench_verify import Trial, Verdict
from runtime import ipc

pytestmark = pytest.mark.unit

PID = os.getpid()


def metrics(
    at_s: float, results: int, cpu_s: dict[str, float], wall_s: dict[str, float] | None = None
) -> ipc.Metrics:
    counts = ipc.StreamCounters(decoded=results, results=results)
    return ipc.Metrics(
        mono_ns=int(at_s * 1e9), streams={"source": counts}, cpu_s=cpu_s, wall_s=wall_s or {}, rss_mb=100
    )


def result(index: int, latency_ms: float = 20.0, stream: str = "source", fps: float = 10.0) -> ipc.Result:
    return ipc.Result(
        stream=stream, session=0, frame=index, pts_s=index / fps, arrived_ns=0, done_ns=int(latency_ms * 1e6),
        width=64, height=48,
    )  # fmt: skip


def spend(frames: int, **ms: float) -> dict[str, float]:
    return {name: value * frames / 1e3 for name, value in ms.items()}


def measured(*messages: ipc.FromWorker) -> Measurement:
    found = Measurement()
    for message in messages:
        found.hear(message, PID)
    return found


PER_FRAME = {
    "decode": 6.0,
    "preprocess": 0.3,
    "infer": 10.0,
    "postprocess": 0.1,
    "publish": 0.1,
    "process": 17.0,
}


def test_each_stage_is_told_per_frame_in_the_order_of_a_frames_way() -> None:
    found = measured(metrics(0, 0, spend(0, **PER_FRAME)), metrics(3, 100, spend(100, **PER_FRAME)))
    stages = {stage.name: stage.cpu_ms for stage in found.stages()}
    assert list(stages) == ["decode", "preprocess", "infer", "postprocess", "publish", "other"]
    assert stages == pytest.approx({**{k: v for k, v in PER_FRAME.items() if k != "process"}, "other": 0.5})
    assert found.cpu_ms() == pytest.approx(17.0)


def test_a_stage_that_this_command_does_not_know_is_told_too_and_one_that_is_not_reported_is_not() -> None:
    cpu = spend(10, decode=6, gate=1, infer=10, blur=2, process=20)
    found = measured(metrics(0, 0, spend(0, **dict.fromkeys(cpu, 0.0))), metrics(1, 10, cpu))
    assert [stage.name for stage in found.stages()] == ["decode", "gate", "infer", "blur", "other"]


@given(st.lists(st.floats(0, 50), min_size=3, max_size=3), st.floats(0, 50), st.integers(1, 500))
def test_the_stages_sum_to_the_whole(parts: list[float], rest: float, frames: int) -> None:
    per_frame = dict(zip(("decode", "infer", "publish"), parts, strict=True))
    per_frame["process"] = sum(parts) + rest
    found = measured(metrics(0, 0, spend(0, **per_frame)), metrics(1, frames, spend(frames, **per_frame)))
    assert sum(stage.cpu_ms for stage in found.stages()) == pytest.approx(found.cpu_ms(), abs=1e-9)


def test_the_start_is_left_out_where_enough_follows() -> None:
    slow = spend(20, **{**PER_FRAME, "process": 50.0})
    later = {name: slow[name] + spend(80, **PER_FRAME)[name] for name in slow}
    found = measured(metrics(0, 0, spend(0, **PER_FRAME)), metrics(1, 20, slow), metrics(5, 100, later))
    assert found.measured == 80
    assert found.cpu_ms() == pytest.approx(17.0)


def test_nothing_was_measured_before_the_second_report() -> None:
    found = measured(metrics(0, 0, spend(0, **PER_FRAME)))
    assert (found.measured, found.stages(), found.cost(), found.cpu_ms()) == (0, [], None, 0.0)


def test_walls_of_the_inference_thread_are_what_is_serial_and_cpu_stands_in_for_them() -> None:
    wall = {"decode": 70.0, "preprocess": 0.4, "infer": 30.0, "postprocess": 0.1, "publish": 0.2}
    nothing = spend(0, **PER_FRAME)
    with_walls = measured(
        metrics(0, 0, nothing, spend(0, **wall)), metrics(1, 10, spend(10, **PER_FRAME), spend(10, **wall))
    ).cost()
    assert with_walls is not None
    assert with_walls.serial_wall_s == pytest.approx(0.0307)
    assert (with_walls.decode_cpu_s, with_walls.look_cpu_s) == pytest.approx((0.006, 0.011))
    without = measured(metrics(0, 0, nothing), metrics(1, 10, spend(10, **PER_FRAME))).cost()
    assert without is not None
    assert without.serial_wall_s == pytest.approx(0.0105)


def test_a_source_that_declares_no_rate_is_known_by_the_times_of_its_frames() -> None:
    assert measured(*(result(index, fps=12.5) for index in range(9))).source_fps() == pytest.approx(12.5)
    assert measured().source_fps() == 0.0


def test_the_first_results_do_not_count_as_latency_unless_there_are_no_more() -> None:
    slow = [result(index, 900.0) for index in range(WARM_UP)]
    few, many = measured(*slow).latency(), measured(*slow, *(result(9, 20.0) for _ in range(9))).latency()
    assert few is not None
    assert few.max == 900.0
    assert many is not None
    assert many.max == 20.0


@given(st.lists(st.floats(0, 1e4), min_size=1))
def test_latencies_are_in_order_and_were_all_seen(milliseconds: list[float]) -> None:
    found = Latency.of(milliseconds)
    assert found is not None
    assert found.p50 <= found.p95 <= found.max == max(milliseconds)
    assert {found.p50, found.p95} <= set(milliseconds)


def test_memory_is_that_of_the_process_loaded_first_and_then_running() -> None:
    ready = ipc.Ready(bundle="b", version="1.0.0", engine="e", provider="p", load_ms=1, labels=())
    found = measured(ready)
    assert 5 < found.memory.loaded <= found.memory.peak
    Measurement().hear(ready, 2**22 + 1)  # a process that is gone already


def several(at_s: float, **streams: tuple[int, int]) -> ipc.Metrics:
    counts = {
        name: ipc.StreamCounters(decoded=sum(numbers), results=numbers[0], dropped={"newer": numbers[1]})
        for name, numbers in streams.items()
    }
    return ipc.Metrics(mono_ns=int(at_s * 1e9), streams=counts, cpu_s={"process": at_s}, rss_mb=1)


def tried(last: ipc.Metrics) -> Verdict:
    trial = Trial(("a", "b"), wanted_fps=10.0, seconds=8.0)
    assert not trial.hear(several(0, a=(0, 0), b=(0, 0)), PID), "counts only when all have a result"
    for name in ("a", "b"):
        trial.hear(result(0, stream=name), PID)
    assert not trial.hear(several(1, a=(9, 5), b=(9, 5)), PID)
    for name in ("a", "b"):
        trial.hear(result(1, stream=name), PID)
    assert trial.hear(last, PID)
    verdict = trial.verdict(interrupted=False)
    assert verdict is not None
    return verdict


def test_streams_that_keep_their_rate_are_said_to() -> None:
    verdict = tried(several(9, a=(89, 5), b=(88, 5)))
    assert verdict.kept
    assert (verdict.seconds, verdict.lowest_fps, verdict.dropped) == (8.0, 79 / 8, 0.0)
    assert verdict.cpus == pytest.approx(1.0)


@pytest.mark.parametrize(
    "last",
    [
        several(9, a=(89, 5), b=(70, 5)),  # one is slow, and nothing is dropped: decoding cannot keep up
        several(9, a=(87, 7), b=(87, 7)),  # two of a hundred are dropped
        several(9, a=(89, 5), b=(9, 5)),  # one has stopped
    ],
)
def test_streams_that_do_not_keep_their_rate_are_not(last: ipc.Metrics) -> None:
    assert not tried(last).kept


def test_a_trial_that_was_ended_before_it_began_has_no_verdict() -> None:
    assert Trial(("a",), 10.0, 8.0).verdict(interrupted=True) is None
