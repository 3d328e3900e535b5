"""What the service is installed with fits together: sample configuration, unit, user, folders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import config_file
from agent.config import DEFAULT_PROFILES_FOLDER, DEFAULT_TRUST_FOLDER
from agent.control.settings import DEFAULT_SOCKET
from agent.secret_files import FOLDER

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
PACKAGING = ROOT / "packaging"
UNIT = (PACKAGING / "systemd" / "edgeward.service").read_text()


def test_the_sample_configuration_starts_an_agent_as_it_is(tmp_path: Path) -> None:
    sample = (PACKAGING / "edgeward.toml").read_text()
    loaded = config_file.parse(sample, where="sample", folder=tmp_path)
    assert loaded.pipeline == ()
    assert loaded.device.state_dir == "/var/lib/edgeward"


def test_what_the_sample_suggests_is_understood(tmp_path: Path) -> None:
    sample = (PACKAGING / "edgeward.toml").read_text()
    plain = sample.replace('url = "mqtt://127.0.0.1:1883"\n', "")
    suggested = re.sub(r"^# (?=\[|[a-z_]+ = )", "", plain, flags=re.MULTILINE)
    loaded = config_file.parse(suggested, where="sample", folder=tmp_path, to_run=False)
    assert loaded.mqtt.key_file == str(FOLDER / "device-key")
    assert loaded.pipeline[0].stream[0].password_file == str(FOLDER / "cam-1")


def test_unit_folders_and_defaults_name_the_same_places() -> None:
    folders = (PACKAGING / "systemd" / "edgeward.tmpfiles.conf").read_text()
    for folder in (str(FOLDER), DEFAULT_TRUST_FOLDER, DEFAULT_PROFILES_FOLDER):
        assert re.search(rf"^d {re.escape(folder)} ", folders, re.MULTILINE)
    assert f"LoadCredential=edgeward:{FOLDER}" in UNIT
    assert DEFAULT_SOCKET.startswith("/run/edgeward/")
    assert "RuntimeDirectory=edgeward\n" in UNIT
    assert "StateDirectory=edgeward\n" in UNIT
    user = (PACKAGING / "systemd" / "edgeward.sysusers.conf").read_text()
    assert re.search(r"^u edgeward ", user, re.MULTILINE)
    for group in re.findall(r"^SupplementaryGroups=(.*)$", UNIT, re.MULTILINE)[0].split():
        assert f"m edgeward {group}\n" in user
