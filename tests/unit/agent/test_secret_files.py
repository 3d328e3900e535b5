"""Secrets by path and as systemd's credentials: found, refused when everybody may read them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import config_file, secret_files
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

TLS = '[mqtt]\nurl = "mqtts://broker"\ncert_file = "device.pem"\nkey_file = "{}"\n'


def parse(text: str, folder: Path) -> None:
    config_file.parse(text, where="edgeward.toml", folder=folder)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root may read everything: what is refused to others must be tried as another."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_credential_is_found_where_systemd_put_it(tmp_path: Path) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    (tmp_path / "edgeward_cam-1").write_text("secret\n")
    (tmp_path / "site").write_text("secret\n")
    for name, file in (("cam-1", "edgeward_cam-1"), ("site", "site"), ("missing", "edgeward_missing")):
        found = secret_files.located(f"credential:{name}", where="x", environment=environment)
        assert found == str(tmp_path / file)


def test_outside_of_the_service_a_credential_is_the_file_it_is_made_of() -> None:
    assert secret_files.located("credential:cam-1", where="x", environment={}) == str(
        secret_files.FOLDER / "cam-1"
    )


@pytest.mark.parametrize("name", ["", "../shadow", "a/b", ".hidden", "a b", "x\n", "n" * 129])
def test_a_credential_with_another_name_is_refused_by_key(tmp_path: Path, name: str) -> None:
    text = TLS.format(f"credential:{name}".replace("\n", "\\n"))
    with pytest.raises(EdgewardError, match="expected credential:NAME") as caught:
        parse(text, tmp_path)
    assert caught.value.where == "edgeward.toml: mqtt.key_file"


def test_the_configuration_reads_a_password_from_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "edgeward_broker").touch(0o400)
    text = '[mqtt]\nurl = "mqtts://broker"\nusername = "box"\npassword_file = "credential:broker"\n'
    with pytest.raises(EdgewardError, match="holds no password"):
        parse(text, tmp_path)
    (tmp_path / "edgeward_broker").chmod(0o600)
    (tmp_path / "edgeward_broker").write_text("secret\n")
    config = config_file.parse(text, where="edgeward.toml", folder=tmp_path)
    assert config.mqtt.password_file == str(tmp_path / "edgeward_broker")


def test_a_missing_credential_says_where_the_secret_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "device.pem").write_text("certificate")
    with pytest.raises(EdgewardError, match="no such file") as caught:
        parse(TLS.format("credential:device-key"), tmp_path)
    assert "/etc/edgeward/credentials/device-key" in caught.value.remedy


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601])
def test_a_key_that_everybody_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "device.pem").write_text("certificate")
    key = tmp_path / "device.key"
    key.write_text("key")
    key.chmod(mode)
    with pytest.raises(EdgewardError, match="everybody on this machine") as caught:
        parse(TLS.format(key), tmp_path)
    assert (caught.value.code, caught.value.where) == (Code.CONFIG_VALUE, "edgeward.toml: mqtt.key_file")
    assert f"chmod o= {key}" in caught.value.remedy
    key.chmod(0o640)
    parse(TLS.format(key), tmp_path)


def test_a_certificate_with_its_key_in_it_is_a_secret_too(tmp_path: Path) -> None:
    both = tmp_path / "device.pem"
    both.write_text("certificate and key")
    both.chmod(0o644)
    with pytest.raises(EdgewardError, match="everybody on this machine") as caught:
        parse('[mqtt]\nurl = "mqtts://broker"\ncert_file = "device.pem"\n', tmp_path)
    assert caught.value.where == "edgeward.toml: mqtt.cert_file"


def test_an_unreadable_key_is_named_with_the_way_to_give_it(tmp_path: Path, nobody: None) -> None:
    with pytest.raises(EdgewardError, match=r"permission denied: .*device\.key") as caught:
        secret_files.check_private("/proc/1/map_files/device.key", where="mqtt.key_file")
    assert "chgrp edgeward" in caught.value.remedy


@pytest.mark.timeout(20)
def test_a_key_that_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key", 0o600)
    for path in (tmp_path / "key", tmp_path):
        with pytest.raises(EdgewardError, match="not a plain file"):
            secret_files.check_private(str(path), where="mqtt.key_file")
