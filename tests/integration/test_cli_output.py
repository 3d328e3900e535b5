"""What the command says when nobody can hear it: a documented status, and never a complaint of Python's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import ExitStatus

pytestmark = [pytest.mark.integration, pytest.mark.command]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = f"'{sys.executable}' -P -m agent.cli.main"


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``line``, in which EW stands for the command; its output is buffered, as it is for users."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("EW", COMMAND)],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


@pytest.mark.parametrize("command", ["version", "version --json", "--help", "bundle pack --help"])
def test_a_full_disk_under_the_output_is_named(command: str, tmp_path: Path) -> None:
    done = shell(f"EW {command} >/dev/full", tmp_path)
    assert done.returncode == ExitStatus.SYSTEM
    assert "standard output" in done.stderr
    assert "system.disk-full" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["version", "version --json", "--help"])
def test_a_reader_that_went_away_is_no_error(command: str, tmp_path: Path) -> None:
    # The pipe has no reader any more before the command begins.
    done = shell(f"{{ sleep 0.3; EW {command}; }} | true", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, tmp_path: Path) -> None:
    done = shell(f"EW version {closed}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_written_does_not_land_in_a_file_that_took_a_closed_stream_s_place(tmp_path: Path) -> None:
    assert shell("EW keys generate --out release <&- >&- 2>&-", tmp_path).returncode == 0
    shown = shell("EW keys show release.key --json", tmp_path)
    assert json.loads(shown.stdout)["kind"] == "private"


@pytest.mark.parametrize("lost", ["2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_the_status_tells_what_cannot_be_said(lost: str, tmp_path: Path) -> None:
    assert shell("EW keys generate --out release", tmp_path).returncode == 0
    done = shell(f"EW bundle verify missing --key release.pub {lost}", tmp_path)
    assert (done.returncode, done.stderr) == (ExitStatus.BUNDLE_UNREADABLE, "")


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_file_name_that_is_not_text_is_shown_all_the_same(option: str, tmp_path: Path) -> None:
    # PYTHONIOENCODING: refuses what is not UTF-8, as en_US.UTF-8 does, which need not be installed.
    done = shell(f"EW keys generate --out $'r\\xff' {option}", tmp_path, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert "r\\udcff.key" in done.stdout
    missing = shell("EW bundle verify $'\\xff' --key $'r\\xff.pub'", tmp_path)
    assert missing.returncode == ExitStatus.BUNDLE_UNREADABLE
    assert missing.stderr.startswith("edgeward: \\udcff: no such file")
