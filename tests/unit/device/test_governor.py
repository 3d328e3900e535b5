"""The governor on simulated sensors: it measures, sets rates, and tells each step and its reason."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agent.device.governor as governor_module
from agent.device.governor import LOOK_FOR_SENSORS_S, Governor
from agent.device.library import Library
from agent.device.pressure import Pressure
from agent.device.profile import Profile
from agent.device.sensors import Readings, Sensors
from agent.device.settings import Governor as Settings
from agent.device.settings import check
from agent.events import EventLog
from runtime.errors import EdgewardError
from tests.unit.device.boards import BOARDS

pytestmark = pytest.mark.unit

LIBRARY = Library(Path("/nonexistent"))
GET_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


class Pipeline:
    def __init__(self) -> None:
        self.rates: list[float] = []

    def set_rate(self, factor: float) -> None:
        self.rates.append(factor)


class Bench:
    """A governor, the folder that it measures, and a clock."""

    def __init__(self, root: Path, profile: Profile, **changes: object) -> None:
        self.root = root
        self.now_s = 1000.0
        self.pipelines = [Pipeline()]
        self.events = EventLog()
        self.governor = Governor(
            Settings(root=str(root), **changes),  # type: ignore[arg-type]
            profile,
            lambda: list(self.pipelines),
            self.events,
            clock=lambda: self.now_s,
        )

    def celsius(self, value: float, zone: int = 0) -> None:
        file = self.root / f"sys/class/thermal/thermal_zone{zone}/temp"
        file.write_text(f"{round(value * 1000)}\n")

    def look(self, seconds: float = 2.0, times: int = 1) -> None:
        for _ in range(times):
            self.governor.look()
            self.now_s += seconds


@pytest.fixture
def pi(tmp_path: Path) -> Bench:
    shutil.copytree(BOARDS / "rpi4", tmp_path / "rpi4")
    return Bench(tmp_path / "rpi4", LIBRARY.get("rpi4"))


def test_heat_lowers_the_rate_of_every_pipeline_and_cold_gives_it_back(pi: Bench) -> None:
    pi.look(times=5)
    assert pi.pipelines[0].rates == []
    assert pi.governor.state.rate == 1.0
    pi.celsius(76)
    pi.look(times=15)
    assert pi.pipelines[0].rates[0] == 0.75, "a jump that is over does not go on to the limit"
    assert pi.pipelines[0].rates == sorted(pi.pipelines[0].rates, reverse=True)
    state = pi.governor.state
    assert state.active
    assert state.level >= 3
    assert "zone cpu-thermal is at 76 °C, over 74 °C" in state.reasons[0]
    pi.celsius(50)
    pi.look(times=300)
    assert pi.governor.state.rate == 1.0
    assert pi.governor.state.reasons == ()
    assert pi.pipelines[0].rates[-1] == 1.0


def test_every_step_is_an_event_and_a_line_in_the_log_with_its_reason(
    pi: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pi.look(times=3)
    pi.celsius(78)
    pi.look()
    pi.look()
    pi.celsius(60)
    pi.look(times=60)
    steps = [event for event in pi.events.recent() if event.kind == "governor.step"]
    first, last = steps[0], steps[-1]
    assert first.severity == "warning"
    assert "detection rate lowered to" in first.text
    assert "zone cpu-thermal" in first.text
    assert first.remedy
    assert last.severity == "ok"
    assert "raised" in last.text
    for event in steps:
        assert any(event.text in record.message for record in caplog.records)


def test_under_voltage_lowers_the_rate_of_a_cool_board(pi: Bench) -> None:
    pi.look(times=3)
    (pi.root / GET_THROTTLED).write_text("50001\n")
    pi.look()
    assert pi.governor.state.reasons == ("the supply voltage is too low",)
    (pi.root / GET_THROTTLED).write_text("50000\n")
    pi.look(times=40)
    assert pi.governor.state.rate == 1.0


def test_a_pipeline_that_comes_later_is_told_the_rate_once(pi: Bench) -> None:
    pi.celsius(79)
    pi.look()
    pi.pipelines.append(Pipeline())
    pi.look(seconds=0.1, times=3)
    assert pi.pipelines[1].rates == [pi.governor.state.rate]


def test_memory_pressure_lowers_the_rate(tmp_path: Path) -> None:
    pressure = tmp_path / "proc/pressure/memory"
    pressure.parent.mkdir(parents=True)
    rest = "avg60=0.00 avg300=0.00 total=1\n"
    line = f"some avg10={{0:.2f}} {rest}full avg10={{0:.2f}} {rest}"
    pressure.write_text(line.format(0))
    bench = Bench(tmp_path, LIBRARY.get("generic-aarch64"))
    bench.look()
    assert bench.governor.watches == ("memory pressure",)
    pressure.write_text(line.format(30))
    bench.look()
    assert bench.governor.state.reasons == ("programs wait for memory",)


def test_without_sensors_it_is_inactive_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(tmp_path, LIBRARY.get("rk3588"))
    bench.look(times=5)
    assert not bench.governor.state.active
    assert bench.governor.state.rate == 1.0
    assert "nothing can be measured here" in caplog.text
    assert "temperature is not governed" in caplog.text


def test_sensors_that_come_with_their_driver_are_found_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LIBRARY.get("rk3588"))
    bench.look()
    shutil.copytree(BOARDS / "rk3588", tmp_path, dirs_exist_ok=True)
    bench.look(seconds=LOOK_FOR_SENSORS_S)
    assert not bench.governor.state.active
    bench.look()
    assert bench.governor.state.active
    assert any("bigcore0-thermal" in watched for watched in bench.governor.watches)


def test_a_zone_that_cannot_be_read_any_more_holds_the_rate_until_it_is_gone_for_good(pi: Bench) -> None:
    pi.celsius(79)
    pi.look()
    lowered = pi.governor.state.rate
    (pi.root / "sys/class/thermal/thermal_zone0/temp").unlink()
    pi.look(times=20)
    assert pi.governor.state.rate == lowered
    pi.look(times=100)
    assert pi.governor.state.rate == 1.0


def test_the_reason_is_what_holds_the_rate_now_and_not_what_once_lowered_it(pi: Bench) -> None:
    pressure = pi.root / "proc/pressure/memory"
    pressure.parent.mkdir(parents=True, exist_ok=True)
    line = "{} avg10={:.2f} avg60=0.00 avg300=0.00 total=1\n"
    pressure.write_text(line.format("some", 0) + line.format("full", 0))
    pi.look()
    pi.celsius(77)
    pi.look(times=10)
    assert "zone cpu-thermal is at 77" in pi.governor.state.reasons[0]
    pi.celsius(71)
    pi.look(times=20)
    assert pi.governor.state.reasons == ("zone cpu-thermal is not yet below 69 °C",)
    pressure.write_text(line.format("some", 12) + line.format("full", 1))
    pi.celsius(50)
    pi.look(times=100)
    assert pi.governor.state.reasons == ("some programs wait for memory",)


def test_a_zone_that_is_switched_off_now_and_then_keeps_nobody_from_the_full_rate(tmp_path: Path) -> None:
    shutil.copytree(BOARDS / "jetson-orin-nano", tmp_path / "t")
    bench = Bench(tmp_path / "t", LIBRARY.get("jetson-orin-nano"))
    bench.look()
    bench.celsius(97)
    bench.look(times=30)
    assert bench.governor.state.rate == 0.1
    bench.celsius(50)
    gpu = tmp_path / "t/sys/class/thermal/thermal_zone1/temp"
    for number in range(200):
        gpu.write_text("48000\n" if number % 3 else "")
        bench.look()
    assert bench.governor.state.rate == 1.0


def test_switched_off_it_measures_and_does_nothing(tmp_path: Path) -> None:
    shutil.copytree(BOARDS / "rpi4", tmp_path / "t")
    bench = Bench(tmp_path / "t", LIBRARY.get("rpi4"), enabled=False)
    bench.celsius(84)
    bench.look(times=10)
    assert bench.pipelines[0].rates == []
    assert not bench.governor.state.active
    assert bench.governor.readings.temperatures[0].celsius == 84


def test_new_settings_begin_at_the_full_rate(pi: Bench) -> None:
    pi.celsius(79)
    pi.look()
    assert pi.governor.state.rate < 1
    pi.governor.configure(Settings(root=str(pi.root), enabled=False))
    assert pi.governor.state.rate == 1.0
    assert pi.pipelines[0].rates[-1] == 1.0


def test_a_new_power_mode_is_noted_and_no_reason_for_a_step(tmp_path: Path) -> None:
    shutil.copytree(BOARDS / "jetson-orin-nano", tmp_path / "t")
    bench = Bench(tmp_path / "t", LIBRARY.get("jetson-orin-nano"))
    bench.look(times=2)
    (tmp_path / "t/var/lib/nvpmodel/status").write_text("pmode:0000")
    bench.look()
    (event,) = bench.events.recent()
    assert (event.kind, "pmode:0000" in event.text) == ("governor.power-mode", True)
    assert bench.governor.state.rate == 1.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": (0.5, 0.2)}, "governor.steps: expected 1.0 and then smaller"),
        ({"steps": (1.0, 0.5, 0.5)}, "governor.steps: expected 1.0 and then smaller"),
        ({"warn_c": 80.0, "limit_c": 80.0}, "governor.warn_c: expected less than limit_c"),
        ({"longest_recover_s": 1.0}, "governor.longest_recover_s: expected at least recover_s"),
        ({"root": "sys"}, "governor.root: expected an absolute path"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(change: dict[str, object], says: str) -> None:
    with pytest.raises(EdgewardError, match=says):
        check(msgspec.structs.replace(Settings(), **change), "governor")


FILES = sorted(
    str(path.relative_to(BOARDS / board))
    for board in ("rpi4", "jetson-orin-nano")
    for path in (BOARDS / board / "sys").rglob("*")
    if path.is_file()
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mangled_sensor_makes_the_governor_raise(data: st.DataObject, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(BOARDS / "rpi4", tree)
    for name in data.draw(st.lists(st.sampled_from(FILES), unique=True, max_size=10)):
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        kind = data.draw(st.sampled_from(["bytes", "number", "folder", "fifo", "loop"]))
        if kind == "bytes":
            file.write_bytes(data.draw(st.binary(max_size=40)))
        elif kind == "number":
            file.write_text(str(data.draw(st.integers(-(10**12), 10**12))))
        elif kind == "folder":
            file.mkdir()
        elif kind == "fifo":
            os.mkfifo(file)
        else:
            file.symlink_to(file)
    for profile in ("rpi4", "jetson-orin-nano", "generic"):
        bench = Bench(tree, LIBRARY.get(profile))
        bench.look(times=5)
        assert 0 < bench.governor.state.rate <= 1


class Hanging(Sensors):
    """A sensor whose driver hangs until it is let go."""

    def __init__(self, settings_: Settings, profile: Profile) -> None:
        super().__init__(settings_, profile)
        self.asked, self.let_go = threading.Event(), threading.Event()

    def read(self) -> Readings:
        self.asked.set()
        assert self.let_go.wait(30)
        return super().read()


def test_a_sensor_that_hangs_holds_up_nobody_and_the_governor_goes_on_after_it(
    pi: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Hanging] = []

    def make(settings_: Settings, profile: Profile) -> Hanging:
        made.append(Hanging(settings_, profile))
        return made[-1]

    monkeypatch.setattr(governor_module, "Sensors", make)
    monkeypatch.setattr(governor_module, "HANGS_S", 0.05)
    pi.governor.readings = Readings(pressure=Pressure(some=1, full=1))
    pi.celsius(90)

    async def play() -> None:
        task = asyncio.create_task(pi.governor.run())
        while not any("does not answer" in record.message for record in caplog.records):
            await asyncio.sleep(0.005)  # the loop turns all the while
        assert pi.pipelines[0].rates == []
        assert pi.governor.readings == Readings(), "what was measured once is no news"
        made[0].let_go.set()
        while not pi.pipelines[0].rates:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(play(), 20))
    assert pi.pipelines[0].rates == [0.5]


def test_a_defect_in_measuring_ends_the_governor_loudly(pi: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Sensors:
        raise ZeroDivisionError

    monkeypatch.setattr(governor_module, "Sensors", broken)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(pi.governor.run(), 20))
