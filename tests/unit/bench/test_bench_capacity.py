"""How many streams a board carries: never more than any of its limits allows, and the right one is named."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.bench_capacity import CPU_HEADROOM, HEADROOM, Board, Cost, Rate, capacity

pytestmark = pytest.mark.unit

COST = Cost(decode_cpu_s=0.006, look_cpu_s=0.012, serial_wall_s=0.012, once_mb=100.0, stream_mb=25.0)
BOARD = Board(cpus=4.0, memory_mb=4000.0)
PLENTY = Board(cpus=1e6, memory_mb=1e9)

seconds = st.floats(1e-6, 1.0)
costs = st.builds(Cost, seconds, seconds, seconds, st.floats(1, 1e4), st.floats(0, 1e3))
boards = st.builds(Board, st.floats(0.05, 256), st.floats(0, 1e6))


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    source = draw(st.floats(0.1, 240))
    return Rate(source, draw(st.floats(source / 100, source)))


@given(costs, rates(), boards)
def test_what_is_promised_fits_into_every_limit(cost: Cost, rate: Rate, board: Board) -> None:
    found = capacity(cost, rate, board)
    number = found.streams
    slack = 1 + 1e-9
    cpu_s = number * (cost.decode_cpu_s * rate.source_fps + cost.look_cpu_s * rate.fps)
    assert cpu_s <= board.cpus * CPU_HEADROOM * slack
    assert number * cost.serial_wall_s * rate.fps <= HEADROOM * slack
    if number:
        assert cost.once_mb + number * cost.stream_mb <= board.memory_mb * HEADROOM * slack


@given(costs, rates(), boards)
def test_one_stream_more_would_break_the_limit_that_is_named(cost: Cost, rate: Rate, board: Board) -> None:
    found = capacity(cost, rate, board)
    assert found.by[found.limit] == min(found.by.values())
    assert found.streams <= found.by[found.limit] < found.streams + 1


@given(costs, rates(), boards, st.floats(1, 10))
def test_a_bigger_board_never_carries_less(cost: Cost, rate: Rate, board: Board, more: float) -> None:
    bigger = Board(board.cpus * more, board.memory_mb * more)
    assert capacity(cost, rate, bigger).streams >= capacity(cost, rate, board).streams


@given(costs, rates(), boards, st.integers(1, 20))
def test_looking_at_every_second_or_third_frame_never_carries_less(
    cost: Cost, rate: Rate, board: Board, every: int
) -> None:
    fewer = Rate(rate.source_fps, rate.source_fps / every)
    assert (
        capacity(cost, fewer, board).streams
        >= capacity(cost, Rate(rate.source_fps, rate.source_fps), board).streams
    )


@given(costs, rates(), boards)
def test_the_rate_of_one_stream_is_one_that_a_stream_can_be_looked_at_with(
    cost: Cost, rate: Rate, board: Board
) -> None:
    fps = capacity(cost, rate, board).one_stream_fps
    assert 0 <= fps <= rate.source_fps
    assert fps * cost.serial_wall_s <= HEADROOM * (1 + 1e-9)
    if fps:
        used = cost.decode_cpu_s * rate.source_fps + cost.look_cpu_s * fps
        assert used <= board.cpus * CPU_HEADROOM * (1 + 1e-9)


def test_the_figures_of_an_example_worked_by_hand() -> None:
    # 4 CPUs * 0.7 = 2.8; a stream takes 15 * 6 ms + 5 * 12 ms = 150 ms a second. 0.9 / (5 * 12 ms) = 15.
    found = capacity(COST, Rate(15, 5), BOARD)
    assert found.by == pytest.approx({"cpu": 18.667, "inference": 15.0, "memory": 140.0}, rel=1e-4)
    assert (found.streams, found.limit) == (15, "inference")


@pytest.mark.parametrize(
    ("board", "limit"),
    [
        (Board(cpus=0.5, memory_mb=1e9), "cpu"),
        (PLENTY, "inference"),
        (Board(cpus=1e6, memory_mb=200.0), "memory"),
    ],
)
def test_what_is_scarce_is_what_limits(board: Board, limit: str) -> None:
    assert capacity(COST, Rate(15, 15), board).limit == limit


def test_a_model_that_does_not_fit_into_memory_carries_nothing() -> None:
    found = capacity(COST, Rate(15, 15), Board(cpus=64, memory_mb=50))
    assert (found.streams, found.limit) == (0, "memory")


def test_a_stream_that_costs_no_memory_is_not_limited_by_it() -> None:
    cost = Cost(0.006, 0.012, 0.012, once_mb=100, stream_mb=0)
    found = capacity(cost, Rate(15, 15), BOARD)
    assert found.by["memory"] == math.inf
    assert found.streams == 5


@pytest.mark.parametrize(
    ("source", "wanted", "densest"), [(30, 30, 30), (30, 5, 5), (15, 10, 15), (25, 10, 12.5), (30, 29.97, 30)]
)
def test_frames_that_are_picked_unevenly_count_as_they_come_at_their_densest(
    source: float, wanted: float, densest: float
) -> None:
    assert Rate(source, wanted).densest_fps == pytest.approx(densest)
