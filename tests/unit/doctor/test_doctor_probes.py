"""What single probes make of an agent's answers, of other users' rights, and of what others have logged."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from pathlib import Path

import pytest

from agent import config_problems
from agent.control import control_pb2 as pb
from agent.doctor.archive import _hide_named
from agent.doctor.mend import mending
from agent.doctor.probes import access, broker, configuration, results, streams
from agent.doctor.site import Site
from agent.doctor.start import site_of
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

TEXT = """\
[device]
id = "dev"
state_dir = "state"
[mqtt]
url = "mqtt://127.0.0.1:1"
[trust]
folder = "{folder}"
release_keys = ["release.pub"]
[[pipeline]]
name = "belt"
bundle = "belt.ewb"
[[pipeline.stream]]
name = "cam"
url = "{url}"
"""


def site(tmp_path: Path, *, folder: str = "", url: str = "film.mp4", more: str = "") -> Site:
    file = tmp_path / "edgeward.toml"
    file.write_text(TEXT.format(folder=folder, url=url) + more)
    return site_of(file, tmp_path)


def test_a_model_that_fails_on_each_picture_of_a_running_stream_is_told(tmp_path: Path) -> None:
    place = site(tmp_path)
    stream = pb.Stream(name="cam", state="running", results=3)
    place.status = pb.Status(pipelines=[pb.Pipeline(name="belt", state="running", streams=[stream])])
    place.health = pb.Health()
    place.health.checks.add(
        id="stream_progress", subject="belt/cam", severity="critical", text="inference fails: out of memory"
    )
    (found,) = results.probe(place)
    assert (found.result, found.subject) == ("fail", "belt/cam")
    assert "inference fails" in found.text
    assert found.command == "edgeward logs --pipeline belt"


def test_what_only_the_agent_sees_of_its_link_is_told_though_the_doctor_gets_through(tmp_path: Path) -> None:
    place = site(tmp_path)
    problem = pb.Problem(code="link.taken-over", text="another client connected with the id of this device")
    place.status = pb.Status(link=pb.Link(connected=False, problem=problem))
    told = [finding for finding in broker.probe(place) if finding.subject == "agent"]
    assert [(finding.result, finding.code) for finding in told] == [("fail", "link.taken-over")]


def test_a_stream_whose_url_is_none_is_no_defect_of_the_doctor(tmp_path: Path) -> None:
    place = site(tmp_path, url="rtsp://127.0.0.1:99999/x")
    (found,) = asyncio.run(streams.probe(place))
    assert found.result == "skip"
    assert "not a URL" in found.text


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("", "sudo editor +8 {at}/edgeward.toml"),
        ("/etc/edgeward/trust.d", "sudo edgeward trust add release.pub --role release"),
        ("trust.d", "sudo edgeward trust add release.pub --role release --folder {at}/trust.d"),
    ],
)
def test_a_key_is_added_where_the_configuration_looks_for_it(
    tmp_path: Path, folder: str, command: str
) -> None:
    untrusted = EdgewardError(Code.BUNDLE_UNTRUSTED_KEY, "not trusted", where="belt.ewb")
    assert mending(untrusted, site(tmp_path, folder=folder)) == command.format(at=tmp_path)


def test_a_password_file_that_nobody_writes_to_does_not_hold_up_the_doctor(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret", 0o600)
    more = 'username = "me"\npassword_file = "secret"\n'
    made: list[Site] = []
    thread = threading.Thread(target=lambda: made.append(site(tmp_path, more=more)), daemon=True)
    thread.start()
    thread.join(30)
    assert made


def test_a_credential_of_a_configuration_that_makes_no_sense_does_not_end_the_doctor(tmp_path: Path) -> None:
    assert site(tmp_path, more='password_file = "credential:no/name"\n[health\n').config is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask in the name of another user")
def test_what_the_user_of_the_service_may_not_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "USER", "nobody")
    # Not pytest's own folder, into which nobody but its owner gets.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        place = site(folder)
        place.file.chmod(0o644)
        bundle = folder / "belt.ewb"
        bundle.touch(0o600)
        (found,) = access.probe(place)
        assert (found.result, found.subject) == ("fail", str(bundle))
        bundle.chmod(0o644)
        assert [item.result for item in access.probe(place)] == ["ok"]
        folder.chmod(0o700)
        assert str(bundle) in {item.subject for item in access.probe(place)}


@pytest.mark.parametrize(
    "line",
    [
        "root=/dev/sda wifi.psk=GEHEIM quiet",
        "camera: password: GEHEIM",
        'reply {"api_key": "GEHEIM"}',
        "Authorization: Basic GEHEIM",
        "started /usr/bin/relay --mqtt-password GEHEIM --port 5",
        "MQTT_PASSWORD='GEHEIM GEHEIM'",
    ],
)
def test_what_others_have_logged_under_the_name_of_a_secret_is_hidden(line: str) -> None:
    assert "GEHEIM" not in _hide_named(line)


def test_words_about_secrets_stay() -> None:
    for line in ("sshd: Failed password for root", "the password file is missing", "12 tokens a second"):
        assert _hide_named(line) == line


def test_a_key_is_found_though_the_error_names_the_file_behind_it(tmp_path: Path) -> None:
    place = site(tmp_path)
    error = EdgewardError(
        Code.CONFIG_VALUE, "no such file", where=f"{place.file}: trust.release_keys: /a/b.c/release.pub"
    )
    assert mending(error, place) == f"sudo editor +8 {place.file}"


def test_a_folder_instead_of_a_configuration_is_told_by_its_probe(tmp_path: Path) -> None:
    assert site_of(tmp_path, tmp_path).config is None
    (found,) = configuration.probe(site_of(tmp_path, tmp_path))
    assert found.result == "fail"


def test_a_password_that_only_root_may_read_is_no_fault_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = site(tmp_path)
    denied = EdgewardError(
        Code.CONFIG_VALUE, "permission denied: secret", where=f"{place.file}: mqtt.password_file"
    )
    monkeypatch.setattr(config_problems, "problems", lambda _file: [denied])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (found,) = configuration.probe(place)
    assert (found.result, found.blocks) == ("warn", False)
    assert found.command == f"sudo edgeward doctor --config {place.file}"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (found,) = configuration.probe(place)
    assert found.result == "fail"
