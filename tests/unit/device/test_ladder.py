"""The governor on simulated boards: before the limit, back to full, and without swinging."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.device.ladder import Ladder, Sign
from agent.device.power import Power
from agent.device.pressure import Pressure
from agent.device.settings import Governor
from agent.device.signs import PowerSigns, ThermalSigns, of_pressure
from agent.device.thermal import Temperature, Zone

pytestmark = pytest.mark.unit

SETTINGS = Governor()
STEPS = SETTINGS.steps
WARN_C, LIMIT_C = 75.0, 85.0
ZONE = Zone("cpu-thermal", Path("temp"), WARN_C, LIMIT_C)
DOWN, UP, STAY = Sign("test", "down", "why"), Sign("test", "up"), Sign("test", "stay")
HOUR_S = 3600.0
# The way down, and what it takes until the wait has doubled from 60 to 900 s; then one up and down in 900 s.
MOST_STEPS_IN_THE_FIRST_HOUR = 22
MOST_STEPS_AN_HOUR = 2 * HOUR_S / SETTINGS.longest_recover_s + 2


def ladder() -> Ladder:
    return Ladder(
        STEPS,
        hold_s=SETTINGS.hold_s,
        recover_s=SETTINGS.recover_s,
        longest_recover_s=SETTINGS.longest_recover_s,
    )


@dataclass
class Board:
    """A chip on a heat sink: one slow and one fast heat capacity, heated by what the rate asks for.

    ``rise_c`` is how much warmer it gets at the full rate, a share ``fast`` of it within seconds (the die).
    """

    ambient_c: float
    idle_c: float
    rise_c: float
    time_constant_s: float
    fast: float = 0.0
    noise_c: float = 0.3
    quantum_c: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - no secret
        self._slow_c, self._fast_c = self.ambient_c + self.idle_c, 0.0

    def settled_c(self, rate: float) -> float:
        return self.ambient_c + self.idle_c + self.rise_c * rate

    def run(self, rate: float, seconds: float) -> float:
        slow_target = self.ambient_c + self.idle_c + self.rise_c * (1 - self.fast) * rate
        self._slow_c += (slow_target - self._slow_c) * min(1.0, seconds / self.time_constant_s)
        self._fast_c += (self.rise_c * self.fast * rate - self._fast_c) * min(1.0, seconds / 5)
        return self._slow_c + self._fast_c

    def sensor_c(self) -> float:
        told = self._slow_c + self._fast_c + self._random.uniform(-self.noise_c, self.noise_c)
        return round(told / self.quantum_c) * self.quantum_c


@dataclass
class Course:
    hottest_c: float
    steps: list[tuple[float, float]]
    rate: float


def simulate(
    board: Board, hours: float, governor: Ladder, signs: ThermalSigns, from_s: float = 0.0
) -> Course:
    now_s, end_s = from_s, from_s + hours * HOUR_S
    hottest_c, steps = float("-inf"), []
    while now_s < end_s:
        hottest_c = max(hottest_c, board.run(governor.rate, SETTINGS.interval_s))
        step = governor.look(now_s, signs.of(now_s, [Temperature(ZONE, board.sensor_c())]))
        if step is not None:
            steps.append((now_s, step.rate))
        now_s += SETTINGS.interval_s
    return Course(hottest_c, steps, governor.rate)


boards = st.builds(
    Board,
    ambient_c=st.floats(0, 60),
    idle_c=st.floats(2, 20),
    rise_c=st.floats(10, 80),
    time_constant_s=st.floats(60, 900),
    fast=st.floats(0, 0.15),
    noise_c=st.floats(0, 0.5),
    quantum_c=st.sampled_from([0.001, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)


@settings(max_examples=60, deadline=None)
@given(boards)
def test_no_board_that_can_be_kept_cool_reaches_its_limit_nor_swings(board: Board) -> None:
    assume(board.settled_c(STEPS[-1]) < WARN_C - 3)
    course = simulate(board, 3, ladder(), ThermalSigns(SETTINGS.hysteresis_c))
    assert course.hottest_c < LIMIT_C
    for hour in range(3):
        within = [step for step in course.steps if hour <= step[0] / HOUR_S < hour + 1]
        most = MOST_STEPS_AN_HOUR if hour else MOST_STEPS_IN_THE_FIRST_HOUR
        assert len(within) <= most, course.steps


@settings(max_examples=30, deadline=None)
@given(boards)
def test_after_cooling_every_board_comes_back_to_the_full_rate(board: Board) -> None:
    governor, signs = ladder(), ThermalSigns(SETTINGS.hysteresis_c)
    simulate(board, 1, governor, signs)
    board.ambient_c, board.rise_c = 0.0, min(board.rise_c, WARN_C - SETTINGS.hysteresis_c - 25)
    longest_s = len(STEPS) * SETTINGS.longest_recover_s + 6 * board.time_constant_s
    course = simulate(board, longest_s / HOUR_S, governor, signs, from_s=HOUR_S)
    assert course.rate == 1.0
    rates = [rate for _, rate in course.steps]
    assert rates == sorted(rates), "all steps were upwards"


@settings(max_examples=30, deadline=None)
@given(boards)
def test_a_board_that_stays_cool_is_never_slowed_down(board: Board) -> None:
    assume(board.settled_c(1.0) < WARN_C - 2)
    assume(board.rise_c * board.fast < 4)
    assert board.rise_c / board.time_constant_s < 2
    assume(board.rise_c / board.time_constant_s * 15 < LIMIT_C - WARN_C)
    course = simulate(board, 2, ladder(), ThermalSigns(SETTINGS.hysteresis_c))
    assert course.steps == []


def test_a_hotter_day_gives_no_higher_rate() -> None:
    """Of two boards that differ in the air around them, the warmer one works no more, on the whole."""
    done = []
    for ambient_c in (10, 20, 30, 40, 50):
        board = Board(ambient_c=ambient_c, idle_c=10, rise_c=50, time_constant_s=150)
        course = simulate(board, 4, ladder(), ThermalSigns(SETTINGS.hysteresis_c))
        times = [0.0, *(at for at, _ in course.steps), 4 * HOUR_S]
        rates = [1.0, *(rate for _, rate in course.steps)]
        done.append(sum(rate * (end - at) for rate, at, end in zip(rates, times, times[1:], strict=False)))
    assert done == sorted(done, reverse=True)
    assert done[0] == 4 * HOUR_S
    assert done[-1] < 0.5 * done[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([DOWN, UP, STAY]), min_size=1, max_size=600), st.floats(0.5, 30))
def test_whatever_is_measured_the_pauses_are_kept(signs: list[Sign], every_s: float) -> None:
    governor = ladder()
    downs: list[float] = []
    last = 1.0
    calm_since_s: float | None = None
    for number, sign in enumerate(signs):
        now_s = number * every_s
        calm_since_s = None if sign is not UP else now_s if calm_since_s is None else calm_since_s
        step = governor.look(now_s, [sign])
        if step is None:
            continue
        assert step.before == last
        assert step.rate == governor.rate
        if step.rate < last:
            assert sign is DOWN
            assert step.reasons == ("why",)
            went_up = bool(downs) and downs[-1] < 0
            assert not downs or went_up or now_s - abs(downs[-1]) >= SETTINGS.hold_s
            downs.append(now_s)
        else:
            assert sign is UP
            assert calm_since_s is not None
            assert now_s - calm_since_s >= SETTINGS.recover_s
            downs.append(-now_s or -1e-9)
            calm_since_s = now_s
        last = step.rate


def test_a_step_up_that_had_to_be_taken_back_makes_the_next_one_wait_twice_as_long() -> None:
    governor = ladder()
    assert governor.look(0, [DOWN])
    now_s, waits = 0.0, []
    for _ in range(6):
        calm_s = now_s = now_s + 1
        while governor.look(now_s, [UP]) is None:
            now_s += 1
        waits.append(round(now_s - calm_s))
        now_s += 1
        assert governor.look(now_s, [DOWN]), "taken back at once"
    assert waits == [60, 120, 240, 480, 900, 900]


def test_a_step_up_that_proved_right_makes_the_wait_shorter_again() -> None:
    governor = ladder()
    governor.look(0, [DOWN])
    governor.look(1, [UP])
    assert governor.look(61, [UP])
    governor.look(62, [DOWN])
    assert governor.recovers_in_s == 120
    for now_s in range(63, 63 + 120 + 900):
        governor.look(now_s, [UP])
    assert (governor.rate, governor.recovers_in_s) == (1.0, 120)
    governor.look(63 + 120 + 900, [UP])
    assert governor.recovers_in_s == 60


def test_one_bad_afternoon_is_forgotten_at_the_full_rate() -> None:
    governor = ladder()
    governor.look(0, [DOWN])
    now_s = 0.0
    for _ in range(6):
        while governor.look(now_s, [UP]) is None:
            now_s += 1
        now_s += 1
        governor.look(now_s, [DOWN])
    assert governor.recovers_in_s == SETTINGS.longest_recover_s
    for _ in range(3600 * 2):
        now_s += 1
        governor.look(now_s, [UP])
    assert (governor.rate, governor.recovers_in_s) == (1.0, SETTINGS.recover_s)


def test_of_several_steps_up_each_that_is_taken_back_counts() -> None:
    governor = ladder()
    for now_s in range(0, 50, 10):
        assert governor.look(now_s, [DOWN])
    now_s = 50
    while governor.level > 2:
        governor.look(now_s, [UP])
        now_s += 1
    for _ in range(3):
        assert governor.look(now_s, [DOWN])
        now_s += 10
    assert governor.recovers_in_s == 60 * 2**3


def test_an_urgent_sign_takes_two_steps_and_waits_less() -> None:
    governor = ladder()
    urgent = Sign("zone", "down", "hot", urgent=True)
    first = governor.look(0, [urgent])
    assert first is not None
    assert first.rate == STEPS[2]
    assert governor.look(2, [urgent]) is None
    second = governor.look(4, [urgent])
    assert second is not None
    assert second.rate == STEPS[4]
    assert governor.look(30, [urgent]).rate == STEPS[-1]  # type: ignore[union-attr]
    assert governor.look(60, [urgent]) is None, "there is no lower step"


def test_nothing_measured_is_no_reason_to_slow_down_and_none_to_stay_slow() -> None:
    governor = ladder()
    assert governor.look(0, []) is None
    governor.look(1, [DOWN])
    assert governor.look(2, []) is None
    assert governor.look(62, []) is not None
    assert governor.rate == 1.0


@pytest.mark.parametrize(("last_c", "wish"), [(None, "stay"), (80.0, "stay"), (72.0, "stay"), (50.0, "up")])
def test_a_zone_that_falls_silent_holds_the_rate_if_it_was_not_cool(last_c: float | None, wish: str) -> None:
    signs = ThermalSigns(5.0)
    signs.of(0, [Temperature(ZONE, last_c)])
    (sign,) = signs.of(2, [Temperature(ZONE, None)])
    assert sign.wish == wish


def wishes(celsius: list[float], zone: Zone = ZONE) -> list[str]:
    signs = ThermalSigns(5.0)
    return [
        signs.of(2.0 * number, [Temperature(zone, value)])[0].wish for number, value in enumerate(celsius)
    ]


def test_one_reading_that_no_chip_can_reach_is_not_believed_and_the_second_is() -> None:
    assert wishes([50.0] * 5 + [149.0] + [50.0] * 5) == ["up"] * 11
    assert wishes([40.0] * 5 + [90.0] * 3) == ["up"] * 6 + ["down"] * 2


@pytest.mark.parametrize("seconds", [0.1, 2.0, 4.0, 8.0])
def test_a_processor_that_gets_warm_at_once_and_stays_below_its_limit_is_left_alone(seconds: float) -> None:
    """A die is warm within seconds of its work: 45 to 82 °C is usual on a PC, and far from its 100."""
    zone = Zone("coretemp", Path("temp"), 90.0, 100.0)
    work = [82 - 37 * 2.718 ** (-2 * number / seconds) for number in range(60)]
    assert "down" not in wishes([45.0] * 10 + work, zone)


@pytest.mark.parametrize("every_s", [0.1, 0.5, 1.0, 2.0, 4.0])
def test_a_steady_rise_is_seen_before_the_limit_at_every_interval(every_s: float) -> None:
    signs = ThermalSigns(5.0)
    for number in range(round(60 / every_s)):
        now_s = number * every_s
        celsius = round(2 * (45 + now_s)) / 2  # a degree a second, in steps of half a degree
        (sign,) = signs.of(now_s, [Temperature(ZONE, celsius)])
        if sign.urgent:
            break
    assert sign.urgent
    assert celsius <= LIMIT_C - 10


def test_power_and_memory_call_for_less_with_a_reason() -> None:
    signs = PowerSigns()
    (sign,) = signs.of(Power(under_voltage=True, events={}), warm=False)
    assert (sign.wish, sign.text) == ("down", "the supply voltage is too low")
    (sign,) = signs.of(Power(events={"over-current": 4}), warm=False)
    assert sign.wish == "up", "what happened before we looked is no news"
    (sign,) = signs.of(Power(events={"over-current": 5}), warm=False)
    assert (sign.wish, sign.text) == ("down", "the board reports: over-current")
    (sign,) = signs.of(Power(events={"over-current": 5}, capped=("cpufreq-cpu0",)), warm=False)
    assert sign.wish == "up", "a cool board whose clocks are capped was told so by somebody"
    (sign,) = signs.of(Power(events={}, capped=("cpufreq-cpu0",)), warm=True)
    assert (sign.wish, "cpufreq-cpu0" in sign.text) == ("down", True)
    assert of_pressure(None, 10) == []
    assert [of_pressure(Pressure(some, full), 10)[0].wish for some, full in ((0, 0), (11, 9), (50, 10))] == [
        "up",
        "stay",
        "down",
    ]
