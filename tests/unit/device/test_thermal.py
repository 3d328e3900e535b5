"""Which zones are watched on each board, and where their limits are from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.device.library import Library
from agent.device.settings import Governor
from agent.device.thermal import Zone, find_zones, read
from tests.unit.device.boards import BOARDS, KNOWN

pytestmark = pytest.mark.unit

LIBRARY = Library(Path("/nonexistent"))
LIMITS = {
    "intel-igpu": {"acpitz": 95.0, "coretemp": 105.0},
    "jetson-nano": {"CPU-therm": 97.0, "GPU-therm": 97.0, "PLL-therm": 97.0},
    "jetson-xavier-nx": dict.fromkeys(("CPU-therm", "GPU-therm", "AUX-therm", "AO-therm"), 90.5),
    "rk3399": {"cpu-thermal": 75.0, "gpu-thermal": 75.0},
    "rk3566": {"cpu-thermal": 75.0, "gpu-thermal": 75.0},
    "rpi4": {"cpu-thermal": 80.0},
    "rpi5-hailo": {"cpu-thermal": 80.0},
    "generic-x86-64": {},
}


def zones_of(board: str, settings: Governor | None = None) -> tuple[Zone, ...]:
    thermal = LIBRARY.get(KNOWN[board]).thermal
    return find_zones(BOARDS / board, thermal, settings or Governor())


@pytest.mark.parametrize("board", LIMITS)
def test_the_zones_of_a_board_and_their_limits(board: str) -> None:
    assert {zone.name: zone.limit_c for zone in zones_of(board)} == LIMITS[board]


@pytest.mark.parametrize("board", [board for board in KNOWN if not board.startswith("generic-x86")])
def test_on_every_known_board_something_is_watched_and_warned_of_before_its_limit(board: str) -> None:
    zones = zones_of(board)
    assert zones
    assert all(zone.warn_c < zone.limit_c for zone in zones)
    assert all(item.celsius is not None for item in read(zones))
    assert len({zone.name for zone in zones}) == len(zones)


def test_the_limit_of_an_intel_processor_is_where_it_slows_down_and_not_where_its_fans_run(
    tmp_path: Path,
) -> None:
    sensor = tmp_path / "sys/class/hwmon/hwmon0"
    sensor.mkdir(parents=True)
    for name, text in (("name", "coretemp"), ("input", 76000), ("max", 80000), ("crit", 100000)):
        (sensor / (name if name == "name" else f"temp1_{name}")).write_text(f"{text}\n")
    (zone,) = find_zones(tmp_path, LIBRARY.get("generic-x86-64").thermal, Governor())
    assert (zone.warn_c, zone.limit_c) == (90.0, 100.0)


def test_a_trip_point_that_slows_nothing_down_is_no_limit(tmp_path: Path) -> None:
    """An Orin's cpu-thermal: 70 °C only tells that the case is hot, from 99 °C on clocks are lowered."""
    shutil.copytree(BOARDS / "jetson-orin-agx", tmp_path, dirs_exist_ok=True)
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    (zone / "trip_point_3_type").write_text("passive\n")
    (zone / "trip_point_3_temp").write_text("70000\n")
    for number, (kind, trip) in enumerate((("hot-surface-alert", 3), ("cpufreq-cpu0", 2), ("pwm-fan", 3))):
        (zone / f"cdev{number}").mkdir()
        (zone / f"cdev{number}/type").write_text(f"{kind}\n")
        (zone / f"cdev{number}_trip_point").write_text(f"{trip}\n")
    thermal = LIBRARY.get("jetson-orin-agx").thermal
    assert find_zones(tmp_path, thermal, Governor())[0].limit_c == 99.0
    (zone / "cdev1_trip_point").write_text("3\n")
    assert find_zones(tmp_path, thermal, Governor())[0].limit_c == 70.0


def test_the_constant_of_a_power_chip_and_a_stub_are_no_temperatures_of_the_board(tmp_path: Path) -> None:
    assert not [zone for zone in zones_of("jetson-nano") if zone.name == "PMIC-Die"]
    shutil.copytree(BOARDS / "rk3399", tmp_path, dirs_exist_ok=True)
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").write_text("-256000\n")
    names = [zone.name for zone in find_zones(tmp_path, LIBRARY.get("rk3399").thermal, Governor())]
    assert names == ["gpu-thermal"]


def test_the_trip_points_of_a_generic_board_stand_in_for_a_profile() -> None:
    (zone,) = find_zones(BOARDS / "odroid-n2", None, Governor())
    assert (zone.name, zone.warn_c, zone.limit_c) == ("cpu-thermal", 75.0, 85.0)


def test_zones_that_a_kernel_calls_by_other_names_are_watched_by_their_trip_points(tmp_path: Path) -> None:
    shutil.copytree(BOARDS / "odroid-n2", tmp_path, dirs_exist_ok=True)
    (tmp_path / "sys/class/thermal/thermal_zone0/type").write_text("soc_max\n")
    (zone,) = find_zones(tmp_path, LIBRARY.get("rk3588").thermal, Governor())
    assert (zone.name, zone.limit_c) == ("soc_max", 85.0)


def test_a_trip_point_that_nobody_set_is_no_limit() -> None:
    names = [zone.name for zone in find_zones(BOARDS / "intel-igpu", None, Governor())]
    assert names == ["acpitz"], "the trip points of x86_pkg_temp are 0"


def test_the_configuration_comes_before_profile_and_trip_points() -> None:
    (zone,) = zones_of("rpi4", Governor(limit_c=70.0))
    assert (zone.warn_c, zone.limit_c) == (60.0, 70.0)
    (zone,) = zones_of("rpi4", Governor(warn_c=50.0))
    assert (zone.warn_c, zone.limit_c) == (50.0, 80.0)
    (zone,) = zones_of("rpi4", Governor(warn_c=99.0))
    assert zone.warn_c < zone.limit_c


def test_zones_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text("acpitz\n")
        (folder / "temp").write_text("50000\n")
    zones = find_zones(tmp_path, None, Governor(limit_c=90.0))
    assert [zone.name for zone in zones] == ["acpitz 1", "acpitz 2"]


@pytest.mark.parametrize("text", ["", "warm\n", "9" * 40, "200000", "-274000", "0\n"])
def test_a_zone_that_makes_no_sense_reads_as_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "temp"
    file.write_text(text)
    (item,) = read((Zone("z", file, 70, 80),))
    assert item.celsius is None
