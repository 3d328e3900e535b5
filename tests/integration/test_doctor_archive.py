"""The archive for support: what helps is in it, what is secret is not, and nobody else can read it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from agent.link.messages import Detections
from tests.cameras import Cameras
from tests.conftest import Signed
from tests.integration.agent_peers import Broker, Subscriber
from tests.integration.doctor_site import Place
from tests.integration.test_doctor import conveyor, recording

__all__ = ["conveyor", "recording"]
pytestmark = [pytest.mark.integration, pytest.mark.command]

BROKER_PASSWORD = "br0ker/pass word"  # noqa: S105 - planted
CAMERA_PASSWORD = "c@mera-geheim"  # noqa: S105
URL_TOKEN = "t0ken-in-the-url"  # noqa: S105
LOGGED_PASSWORD = "logged-by-mistake"  # noqa: S105
FOREIGN_LOGIN = "s0mebody"


@pytest.fixture
def place(
    conveyor: Signed, recording: Path, broker: Broker, make_broker: Callable[..., Broker], tmp_path: Path
) -> Iterator[Place]:
    """A site with a secret in every place where there can be one, and an agent."""
    with ExitStack() as stack:
        folder = tmp_path / "site"
        folder.mkdir(mode=0o755)
        secret = _secret(folder / "camera-secret", CAMERA_PASSWORD)
        options = ("--user", "viewer", "--password-file", str(secret))
        cameras = stack.enter_context(Cameras({"cam": recording}, *options))
        place = Place(folder, conveyor, broker, cameras, make_broker, stack)
        place.stream |= {"username": "viewer", "password_file": "camera-secret"}
        _secret(folder / "broker-secret", BROKER_PASSWORD)
        place.config["mqtt"] |= {"username": "dev", "password_file": "broker-secret"}
        place.more = (
            f'[[pipeline.stream]]\nname = "gone"\nurl = "rtsp://127.0.0.1:1/x?password={URL_TOKEN}"\n'
        )
        _commands(place)
        place.write()
        yield place


def _secret(path: Path, text: str) -> Path:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def _commands(place: Place) -> None:
    """A journal into which somebody has logged what nobody should."""
    folder = place.folder / "bin"
    folder.mkdir()
    said = f"connected with {BROKER_PASSWORD} and {CAMERA_PASSWORD} to rtsp://{FOREIGN_LOGIN}:{LOGGED_PASSWORD}@10.0.0.9/x"
    (folder / "journalctl").write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\n")
    (folder / "journalctl").chmod(0o755)
    place.env = {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "EDGEWARD_PASSWORD": "in-the-env1ronment",
    }


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {
            member.name.partition("/")[2]: tar.extractfile(member).read()  # type: ignore[union-attr]
            for member in tar.getmembers()
        }


def test_the_archive_helps_and_holds_no_secret(place: Place, subscribe: Callable[..., Subscriber]) -> None:
    heard = subscribe(place.broker.port)
    place.start_agent().wait_line("belt/cam runs", 60)
    heard.wait(Detections, lambda body: body.stream == "cam" and body.status == "detections", 30)
    archive = place.folder / "support.tar.gz"
    done = place.command("--bundle", str(archive))
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    found = members(archive)
    wanted = {
        "doctor.json",
        "configuration.toml",
        "versions.json",
        "status.json",
        "health.json",
        "events.jsonl",
    }
    assert wanted | {"log.jsonl", "metrics.txt", "journal.txt", "state.txt"} <= set(found)
    assert json.loads(found["status.json"])["device"]["id"] == "dev"
    assert b"10.0.0.9" in found["journal.txt"], "what is no secret stays"
    assert b"bundles/" in found["state.txt"]
    assert {item["probe"] for item in json.loads(found["doctor.json"])} >= {"broker", "streams", "models"}

    secrets = [
        BROKER_PASSWORD,
        CAMERA_PASSWORD,
        URL_TOKEN,
        LOGGED_PASSWORD,
        FOREIGN_LOGIN,
        "in-the-env1ronment",
    ]
    private = (place.signed.key.with_suffix(".key")).read_text().splitlines()[1]
    everything = [
        gzip.decompress(archive.read_bytes()),
        *found.values(),
        (done.stdout + done.stderr).encode(),
    ]
    for secret in [*secrets, private]:
        for form in (secret.encode(), quote(secret, safe="").encode(), *_base64(secret)):
            for text in everything:
                assert form not in text, (secret, text[max(0, text.find(form) - 200) : text.find(form) + 50])


def _base64(secret: str) -> list[bytes]:
    """What stands in the base64 of any text that the secret is part of, by how many bytes are before it."""
    forms = []
    for before in range(3):
        coded = base64.b64encode(b"x" * before + secret.encode())
        # The first group holds what was before, the last one what comes behind.
        forms.append(coded[4 if before else 0 : len(coded) // 4 * 4 - 4])
    return forms


def test_an_archive_that_is_there_is_not_written_over_unless_asked(place: Place) -> None:
    archive = place.folder / "support.tar.gz"
    archive.write_text("what was sent yesterday")
    refused = place.command("--bundle", str(archive), "--only", "kernel")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert archive.read_text() == "what was sent yesterday"
    assert place.command("--bundle", str(archive), "--only", "kernel", "--force").returncode == 0
    assert "doctor.json" in members(archive)


def test_a_folder_that_is_not_there_is_told_before_anything_is_looked_at(place: Place) -> None:
    done = place.command("--bundle", str(place.folder / "nowhere" / "support.tar.gz"))
    assert done.returncode == 12
    assert "nowhere" in done.stderr
    assert not done.stdout


def test_the_archive_is_made_with_a_configuration_that_makes_no_sense_too(place: Place) -> None:
    place.file.write_text(f'[mqtt\npassword = "{BROKER_PASSWORD}"\n')
    archive = place.folder / "support.tar.gz"
    assert place.command("--bundle", str(archive)).returncode == 19
    found = members(archive)
    assert b"config.syntax" in found["doctor.json"]
    assert all(BROKER_PASSWORD.encode() not in text for text in found.values())


def test_a_journal_without_end_is_cut_and_its_end_is_kept(place: Place) -> None:
    journal = place.folder / "bin" / "journalctl"
    journal.write_text("#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' x\necho the end\n")
    archive = place.folder / "support.tar.gz"
    place.command("--bundle", str(archive), "--only", "kernel")
    text = members(archive)["journal.txt"]
    assert len(text) < 2_200_000
    assert text.endswith(b"the end\n")
    assert b"left out" in text[:100]
    assert io.BytesIO(archive.read_bytes()).getbuffer().nbytes < 4_000_000
