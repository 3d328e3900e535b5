"""Every listed board is known, none is taken for another, and no tree whatever stops detection."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import config_file
from agent.config import Config, Device
from agent.device import current
from agent.device.board import look
from agent.device.detect import detect, detect_board
from agent.device.library import Library
from runtime.errors import Code, EdgewardError
from tests.unit.device.boards import BOARDS, KNOWN, UNKNOWN

pytestmark = pytest.mark.unit

NO_SITE = Path("/nonexistent/profiles.d")


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(NO_SITE)


def test_every_fixture_is_in_one_of_the_tables_and_every_profile_has_a_fixture() -> None:
    folders = {path.name for path in BOARDS.iterdir() if path.is_dir()}
    assert folders == KNOWN.keys() | UNKNOWN.keys()
    assert set(Library(NO_SITE).names) == set(KNOWN.values()) | set(UNKNOWN.values())


@pytest.mark.parametrize("board", KNOWN)
def test_a_listed_board_is_known_without_doubt(board: str, library: Library) -> None:
    found = detect(BOARDS / board, library)
    assert (found.name, found.warning) == (KNOWN[board], "")
    assert found.evidence


@pytest.mark.parametrize("board", UNKNOWN)
def test_an_unknown_board_gets_what_is_generic_for_its_machine_and_a_warning(
    board: str, library: Library
) -> None:
    found = detect(BOARDS / board, library)
    assert found.name == UNKNOWN[board]
    assert "docs/guide/boards.md" in found.warning


@pytest.mark.parametrize("board", [*KNOWN, *UNKNOWN])
def test_no_board_fits_the_profile_of_another(board: str, library: Library) -> None:
    """The full matrix: with the right profile taken away, none of the others takes the board for its own."""
    right = KNOWN.get(board)
    related = {"rpi5-hailo": "rpi5"}  # a Pi 5 it is, after all

    class Without:
        def all(self) -> tuple[object, ...]:
            return tuple(profile for profile in library.all() if profile.name != right)

        def is_of_site(self, name: str) -> bool:
            return False

    found = detect_board(look(BOARDS / board), Without())  # type: ignore[arg-type]
    expected = {related.get(board, ""), "generic", "generic-aarch64", "generic-armv7", "generic-x86-64"}
    assert found.name in expected


def test_a_32_bit_system_on_a_known_board_is_told_what_to_do(library: Library) -> None:
    warning = detect(BOARDS / "rpi4-32bit", library).warning
    assert "Raspberry Pi 4 with a 32-bit system" in warning
    assert "install a 64-bit one for the profile rpi4" in warning


def test_a_hailo_is_found_on_the_bus_without_its_driver_and_another_hailo_is_not_taken_for_it(
    tmp_path: Path, library: Library
) -> None:
    tree = tmp_path / "board"
    shutil.copytree(BOARDS / "rpi5-hailo", tree)
    (ids,) = [
        file
        for file in (tree / "sys/bus/pci/devices").glob("*/device")
        if file.with_name("vendor").read_text().strip() == "0x1e60"
    ]
    ids.write_text("0x45c4\n")  # a Hailo-10H, whose driver makes /dev/hailo0 as well
    assert (tree / "dev/hailo0").exists()
    assert detect(tree, library).name == "rpi5"
    ids.write_text("0x2864\n")
    (tree / "dev/hailo0").unlink()
    assert detect(tree, library).name == "rpi5-hailo"


def test_an_intel_network_card_is_no_intel_graphics(library: Library) -> None:
    assert detect(BOARDS / "generic-x86-64", library).name == "generic-x86-64"


def test_without_any_tree_the_machine_is_generic_and_that_is_said(tmp_path: Path, library: Library) -> None:
    found = detect(tmp_path, library)
    assert found.name == "generic"
    assert "tells nothing of itself" in found.warning


FILES = sorted(
    {
        str(path.relative_to(BOARDS / board))
        for board in ("rk3588", "rpi5-hailo", "jetson-orin-nano", "intel-igpu")
        for path in (BOARDS / board).rglob("*")
        if path.is_file() and "thermal" not in path.parts
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mangled_tree_makes_detection_raise(data: st.DataObject, library: Library, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in data.draw(st.lists(st.sampled_from(FILES), unique=True, max_size=8)):
        path = tree / name
        if any(above.is_file() for above in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        match data.draw(st.sampled_from(["bytes", "folder", "fifo", "loop", "gone"])):
            case "bytes":
                path.write_bytes(data.draw(st.binary(max_size=300)))
            case "folder":
                path.mkdir(exist_ok=True)
            case "fifo":
                os.mkfifo(path)
            case "loop":
                path.symlink_to(path)
            case "gone":
                path.symlink_to("nowhere")
    found = detect(tree, library)
    assert found.name in library.names
    assert found.evidence.isprintable()
    assert found.warning.isprintable()


def test_the_profile_of_the_configuration_wins_and_an_unknown_one_is_refused_with_the_nearest_name() -> None:
    chosen = current(Config(device=Device(profile="rk3588", profiles_dir=str(NO_SITE))), BOARDS / "rpi4")
    assert (chosen.profile.name, chosen.source, chosen.warning) == ("rk3588", "configured", "")
    with pytest.raises(EdgewardError) as refused:
        current(Config(device=Device(profile="rk3599", profiles_dir=str(NO_SITE))))
    assert refused.value.code is Code.CONFIG_VALUE
    assert refused.value.remedy == "did you mean 'rk3399'?"


def test_without_one_in_the_configuration_the_board_says_which() -> None:
    chosen = current(Config(device=Device(profiles_dir=str(NO_SITE))), BOARDS / "rk3588")
    assert chosen.profile.name == "rk3588"
    assert chosen.profile.inference_cpus == (4, 5, 6, 7)
    assert chosen.source == "device tree: rockchip,rk3588"


def test_of_an_unknown_board_the_kernel_tells_the_fast_cores(tmp_path: Path) -> None:
    config = Config(device=Device(profiles_dir=str(NO_SITE)))
    assert current(config, BOARDS / "odroid-n2").profile.inference_cpus == (2, 3, 4, 5), (
        "by their part numbers"
    )
    assert current(config, BOARDS / "rk3328").profile.inference_cpus == (), "all are equal"
    shutil.copytree(BOARDS / "odroid-n2", tmp_path / "t")
    for cpu, capacity in enumerate((1024, 1024, 400, 400, 400, 980)):
        folder = tmp_path / f"t/sys/devices/system/cpu/cpu{cpu}"
        folder.mkdir(parents=True)
        (folder / "cpu_capacity").write_text(f"{capacity}\n")
    assert current(config, tmp_path / "t").profile.inference_cpus == (0, 1, 5), "by their capacities"


def test_what_a_profile_says_of_its_cores_is_not_overruled_by_the_kernel() -> None:
    chosen = current(Config(device=Device(profiles_dir=str(NO_SITE))), BOARDS / "rk3566")
    assert chosen.profile.inference_cpus == ()


def test_a_configuration_with_an_unknown_profile_or_a_broken_file_of_one_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "edgeward.toml"
    config.write_text('[device]\nprofile = "rk3599"\nprofiles_dir = "profiles"\n')
    with pytest.raises(EdgewardError) as refused:
        config_file.load(config)
    assert refused.value.where == f"{config}: device.profile"
    assert "unknown profile 'rk3599'; did you mean 'rk3399'?" in str(refused.value)
    config.write_text('[device]\nprofiles_dir = "profiles"\n')
    assert config_file.load(config).device.profiles_dir == str(tmp_path / "profiles")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/mine.toml").write_text('name = "x"\n')
    with pytest.raises(EdgewardError, match=r"profiles/mine\.toml: title: this key is required"):
        config_file.load(config)


def box(folder: Path, name: str, compatible: str) -> None:
    folder.mkdir(exist_ok=True)
    text = f'name = "{name}"\nextends = "rk3588"\n[detect]\ncompatible = ["{compatible}"]\nsource = ["us"]\n'
    (folder / f"{name}.toml").write_text(text)


def test_a_profile_of_the_site_wins_over_a_shipped_one_that_fits_as_well(tmp_path: Path) -> None:
    box(tmp_path, "acme-box", "rockchip,rk3588")
    assert detect(BOARDS / "rk3588", Library(tmp_path)).name == "acme-box"


def test_the_string_that_stands_first_in_the_device_tree_wins(tmp_path: Path) -> None:
    box(tmp_path, "acme-box", "rockchip,rk3588")
    box(tmp_path, "acme-rock", "radxa,rock-5b")
    found = detect(BOARDS / "rk3588", Library(tmp_path))
    assert (found.name, found.evidence) == ("acme-rock", "device tree: radxa,rock-5b")


def test_two_that_fit_equally_well_are_told_of(tmp_path: Path) -> None:
    box(tmp_path, "one", "radxa,rock-5b")
    box(tmp_path, "two", "radxa,rock-5b")
    found = detect(BOARDS / "rk3588", Library(tmp_path))
    assert found.name == "one"
    assert found.warning == "the profiles one, two fit equally well; set device.profile to one of them"
