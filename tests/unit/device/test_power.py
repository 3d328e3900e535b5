"""What the boards' power sensors and the kernel's memory pressure say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.device.power import PowerSensors
from agent.device.pressure import Pressure, memory_pressure
from agent.device.signs import PowerSigns
from tests.unit.device.boards import BOARDS, KNOWN

pytestmark = pytest.mark.unit

GET_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(BOARDS / "rpi4", tmp_path / "rpi4")
    return tmp_path / "rpi4"


@pytest.mark.parametrize(
    ("mask", "under_voltage", "throttled"),
    [
        ("0", False, False),
        ("0x0", False, False),
        ("50005", True, True),
        ("50000", False, False),
        ("0x1", True, False),
        ("2", False, True),
        ("8", False, False),
        ("80008", False, False),
    ],
)
def test_the_live_bits_of_a_raspberry_pi_count_and_what_has_been_does_not(
    tree: Path, mask: str, under_voltage: bool, throttled: bool
) -> None:
    (tree / GET_THROTTLED).write_text(f"{mask}\n")
    power = PowerSensors(tree).read()
    assert (power.under_voltage, power.throttled) == (under_voltage, throttled)


@pytest.mark.parametrize("board", ["rpi3bplus", "rpi4", "rpi5", "rpi5-hailo"])
def test_the_firmware_of_every_raspberry_pi_is_asked_where_its_kernel_has_it(
    board: str, tmp_path: Path
) -> None:
    shutil.copytree(BOARDS / board, tmp_path / "t")
    (mask,) = (tmp_path / "t/sys/devices/platform").rglob("get_throttled")
    mask.write_text("50004\n")
    assert PowerSensors(tmp_path / "t").read().throttled


def test_a_counter_that_cannot_be_read_for_a_while_has_counted_nothing_when_it_is_back(
    tmp_path: Path,
) -> None:
    shutil.copytree(BOARDS / "jetson-orin-nano", tmp_path / "t")
    sensors, signs = PowerSensors(tmp_path / "t"), PowerSigns()
    signs.of(sensors.read(), warm=False)
    counter = next(
        file for file in (tmp_path / "t").rglob("oc*_event_cnt") if file.read_text().strip() != "0"
    )
    told = counter.read_text()
    counter.write_text("")
    signs.of(sensors.read(), warm=False)
    counter.write_text(told)
    assert [sign.wish for sign in signs.of(sensors.read(), warm=False)] == ["up"]
    counter.write_text("99\n")
    assert [sign.wish for sign in signs.of(sensors.read(), warm=False)] == ["down"]


def test_without_the_firmware_file_the_alarm_of_the_driver_counts(tree: Path) -> None:
    (tree / GET_THROTTLED).unlink()
    sensors = PowerSensors(tree)
    assert sensors.read().under_voltage is False
    (tree / "sys/class/hwmon/hwmon1/in0_lcrit_alarm").write_text("1\n")
    assert sensors.read().under_voltage is True


def test_a_jetson_tells_its_mode_and_its_over_current_events() -> None:
    power = PowerSensors(BOARDS / "jetson-orin-nano").read()
    assert power.mode == "pmode:0002"
    assert power.events == {"over-current": 4}
    assert power.under_voltage is None


def test_a_fan_that_turns_is_no_capped_clock_and_a_capped_processor_is(tmp_path: Path) -> None:
    shutil.copytree(BOARDS / "jetson-orin-nano", tmp_path / "t")
    sensors = PowerSensors(tmp_path / "t")
    assert sensors.read().capped == ()
    (tmp_path / "t/sys/class/thermal/cooling_device1/cur_state").write_text("3\n")
    (tmp_path / "t/sys/class/thermal/cooling_device2/cur_state").write_text("1\n")
    assert sensors.read().capped == ("cpufreq-cpu0", "cpu-throttle-alert")


def test_an_intel_processor_counts_its_throttling() -> None:
    assert PowerSensors(BOARDS / "intel-igpu").read().events == {"processor throttled": 3}


@pytest.mark.parametrize("board", KNOWN)
def test_what_is_not_there_is_not_claimed(board: str) -> None:
    found = PowerSensors(BOARDS / board).found
    assert ("supply voltage" in found) == board.startswith("rpi")
    assert ("over-current" in found) == board.startswith("jetson-orin")


@pytest.mark.parametrize("text", ["", "none", "0xzz", "\x00", "-1"])
def test_a_mask_that_makes_no_sense_is_no_alarm(tree: Path, text: str) -> None:
    shutil.rmtree(tree / "sys/class/hwmon")
    (tree / GET_THROTTLED).write_text(text)
    PowerSensors(tree).read()  # a negative number is all bits: odd, and still no exception
    if text != "-1":
        assert PowerSensors(tree).read().under_voltage is None


PSI = "some avg10=12.50 avg60=3.00 avg300=1.00 total=123\nfull avg10=4.25 avg60=1.00 avg300=0.10 total=99\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PSI, Pressure(some=12.5, full=4.25)),
        (PSI.splitlines()[0] + "\n", Pressure(some=12.5, full=0.0)),
        ("", None),
        ("some avg10=nonsense\n", None),
    ],
)
def test_memory_pressure_is_that_of_the_last_ten_seconds(
    tmp_path: Path, text: str, expected: Pressure | None
) -> None:
    (tmp_path / "proc/pressure").mkdir(parents=True)
    (tmp_path / "proc/pressure/memory").write_text(text)
    assert memory_pressure(tmp_path) == expected


def test_a_kernel_without_psi_has_no_pressure(tmp_path: Path) -> None:
    assert memory_pressure(tmp_path) is None
