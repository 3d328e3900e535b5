"""``edgeward profile``: what it prints for a person, and for a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.unit.device.boards import BOARDS, KNOWN

pytestmark = pytest.mark.unit

NO_SITE = "/nonexistent"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["profile", *arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, _ = run(capsys, *arguments, "--json", "--profiles-dir", NO_SITE)
    assert status == 0
    return json.loads(out)


@pytest.mark.parametrize("board", ["rk3588", "rpi5-hailo", "jetson-orin-nano", "intel-igpu"])
def test_detect_tells_the_profile_of_a_copy_of_a_board(
    board: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "detect", "--root", str(BOARDS / board))
    assert (found["profile"], found["warning"]) == (KNOWN[board], "")
    assert found["evidence"]
    assert found["board"]["machine"] in {"aarch64", "x86_64"} or board.startswith("jetson")


def test_detect_warns_of_an_unknown_board_on_stderr_and_in_the_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = str(BOARDS / "odroid-n2")
    status, out, err = run(capsys, "detect", "--root", root)
    assert status == 0
    assert out.startswith("generic-aarch64: ")
    assert "no profile is for this board (Hardkernel ODROID-N2)" in err
    assert "ODROID-N2" in document(capsys, "detect", "--root", root)["warning"]


def test_detect_of_this_machine_ends_well_whatever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "detect")["profile"]


def test_show_prints_facts_limits_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", "rk3399")
    assert status == 0
    assert "big: Cortex-A72, CPU 4, 5" in out
    assert "The RK3399 has no NPU" in out
    assert "source       https://" in out
    told = document(capsys, "show", "rk3399")
    assert told["cpu"]["inference"] == [4, 5]
    assert told["file"].endswith("device_profiles/rk3399.toml")


@pytest.mark.parametrize("name", sorted(set(KNOWN.values())))
def test_every_profile_can_be_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", name)
    assert status == 0
    assert out.startswith(f"{name}: ")


def test_an_unknown_name_is_an_error_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "show", "rk3599")
    assert (status, out) == (3, "")
    assert err == "edgeward: NAME: unknown profile 'rk3599'; did you mean 'rk3399'? [config.value]\n"


def test_list_marks_those_of_the_site(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "acme"\ntitle = "Acme\\u001b[2J"\nextends = "rk3588"\n')
    status, out, _ = run(capsys, "list", "--profiles-dir", str(tmp_path))
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("acme ")]
    assert line.endswith("(of this site)")
    assert "\x1b" not in out
    listed = document(capsys, "list")["profiles"]
    assert {profile["name"] for profile in listed} >= set(KNOWN.values())
    assert not any(profile["of_site"] for profile in listed)


def test_a_broken_profile_of_the_site_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "acme"\nextends = "rk3588"\n[cpu]\ninferense = [1]\n')
    status, _, err = run(capsys, "list", "--profiles-dir", str(tmp_path))
    assert status == 3
    assert f"{tmp_path}/mine.toml: cpu.inferense: unknown key" in err
