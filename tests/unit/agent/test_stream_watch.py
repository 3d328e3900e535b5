"""A stream is judged by its results: when it stalls, why, and when it is back."""

from __future__ import annotations

import pytest

from agent.backoff import Backoff
from agent.config import Stream
from agent.workers.stream_watch import Change, Reason, StreamWatch
from runtime import ipc

pytestmark = pytest.mark.unit

S = 1_000_000_000


def watch(**settings: float) -> StreamWatch:
    return StreamWatch(Stream(name="cam", url="rtsp://c", **settings), 0)  # type: ignore[arg-type]


def result(at_s: float, status: str = "detections") -> ipc.Result:
    at = int(at_s * S)
    return ipc.Result(
        stream="cam",
        session=0,
        frame=0,
        pts_s=None,
        arrived_ns=at - 5_000_000,
        done_ns=at,
        width=10,
        height=10,
        status=status,  # type: ignore[arg-type]
        why="broken" if status == "failed" else "",
    )


def source(state: str, at_s: float = 0) -> ipc.StreamChanged:
    return ipc.StreamChanged(stream="cam", state=state, mono_ns=int(at_s * S))  # type: ignore[arg-type]


def test_it_stays_starting_while_the_model_loads() -> None:
    stream = watch()
    assert stream.tick(100 * S, None) is None
    assert stream.state == "starting"


def test_it_stalls_after_its_time_and_says_how_long_it_was_silent() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.source_changed(source("running"), None, 0)
    assert stream.result(result(1), 1 * S) == Change("running", None, 1.0)
    assert stream.tick(4 * S, None) is None
    change = stream.tick(4_100_000_000, None)
    assert change is not None
    assert (change.state, change.seconds) == ("stalled", 3.1)
    assert change.reason is not None
    assert change.reason.code == "source.stalled"
    assert stream.tick(5 * S, None) is None
    back = stream.result(result(6), 6 * S)
    assert back == Change("running", None, 5.0)


def test_a_frame_from_before_the_stall_is_no_recovery() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.result(result(1), S)
    stream.tick(5 * S, None)
    assert stream.result(result(4.9), 6 * S) is None
    assert stream.state == "stalled"
    assert stream.result(result(7), 7 * S) == Change("running", None, 6.0)


def test_the_last_frame_of_a_film_that_has_ended_does_not_make_it_run_and_then_stall() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.source_changed(source("running"), None, 0)
    stream.result(result(1), S)
    stream.source_changed(source("ended", 1.1), None, 1_100_000_000)
    assert stream.result(result(1.2), 1_200_000_000) is None
    assert stream.results == 2
    assert stream.tick(10 * S, None) is None
    assert stream.state == "ended"
    stream.worker_started()
    stream.worker_ready(20 * S)
    stream.source_changed(source("running", 20), None, 20 * S)
    assert stream.result(result(21), 21 * S) == Change("running", None, 1.0), "another worker's first"


def test_the_reason_is_the_last_word_of_the_worker() -> None:
    stream = watch()
    stream.worker_ready(0)
    refused = Reason("source.refused", "nothing listens at that address")
    stream.source_changed(source("waiting"), refused, S)
    change = stream.tick(4 * S, None)
    assert change == Change("stalled", refused, 4.0)


def test_the_reason_is_the_pipeline_when_no_worker_runs() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.result(result(1), S)
    died = Reason("worker.died", "killed by SIGKILL")
    change = stream.tick(5 * S, died)
    assert change is not None
    assert change.reason == died


def test_a_slow_stream_is_not_stalled_between_two_frames() -> None:
    stream = watch(max_fps=0.1)
    stream.worker_ready(0)
    stream.result(result(0), 0)
    assert stream.tick(19 * S, None) is None
    assert stream.tick(21 * S, None) is not None


def test_an_ended_file_does_not_stall() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.result(result(1), S)
    stream.source_changed(source("ended"), None, 2 * S)
    assert stream.tick(100 * S, None) is None
    assert stream.state == "ended"
    assert not stream.silent_too_long(100 * S)


def test_a_worker_that_reads_and_gives_nothing_is_stuck_and_one_that_waits_is_not() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.source_changed(source("running"), None, 0)
    assert not stream.silent_too_long(29 * S)
    assert stream.silent_too_long(31 * S)
    stream.source_changed(source("waiting"), None, 0)
    assert not stream.silent_too_long(31 * S)


@pytest.mark.parametrize(("max_fps", "expected_s"), [(0.0, 30.0), (30.0, 30.0), (0.5, 40.0)])
def test_a_stream_whose_rate_the_governor_has_lowered_is_expected_less_often(
    max_fps: float, expected_s: float
) -> None:
    stream = watch(max_fps=max_fps)
    stream.worker_ready(0)
    stream.result(result(1), S)
    stream.follow_rate(0.1)
    assert stream.tick(int((expected_s + 0.9) * S), None) is None
    assert stream.tick(int((expected_s + 1.1) * S), None) is not None
    stream.follow_rate(1.0)
    assert stream.stall_ns == (4 if max_fps == 0.5 else 3) * S


def test_failed_results_are_no_silence_and_are_named() -> None:
    stream = watch()
    stream.worker_ready(0)
    stream.result(result(1, "failed"), S)
    assert (stream.state, stream.failing) == ("running", "broken")
    stream.result(result(2), 2 * S)
    assert stream.failing == ""


def test_latency_is_from_arrival() -> None:
    stream = watch()
    assert stream.latency_ms(0.5) is None
    for second in range(1000):
        stream.result(result(second), second * S)
    assert stream.latency_ms(0.5, 1000 * S) == pytest.approx(5.0, rel=0.02)
    assert stream.latency_ms(0.95, 1000 * S) == pytest.approx(5.0, rel=0.02)


def test_backoff_doubles_to_its_ceiling_with_jitter_and_resets() -> None:
    backoff = Backoff(0.3, 2.0)
    for ceiling in (0.3, 0.6, 1.2, 2.0, 2.0):
        assert ceiling / 2 <= backoff.next_delay() <= ceiling
    backoff.reset()
    assert backoff.next_delay() <= 0.3


def test_what_a_stream_counted_does_not_go_back_when_its_configuration_changes() -> None:
    former, stream = watch(), watch(max_fps=2)
    former.result(result(1), 1 * S)
    stream.succeed(former)
    stream.result(result(2), 2 * S)
    assert stream.results == 2
    assert stream.latency.cumulative()[-1] == ("+Inf", 2)
