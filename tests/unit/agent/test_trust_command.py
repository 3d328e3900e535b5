"""``edgeward trust``: what it prints, what it asks, and what it refuses."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.trust import floors as floor_store
from agent.trust import held_folder
from runtime.bundle import floors
from runtime.bundle.floors import Floor
from runtime.bundle.keys import fingerprint, generate, load_public, public_pem
from runtime.bundle.pack import pack
from runtime.errors import Code, ExitStatus
from tests.unit.bundle.conftest import make_author

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Device:
    """A device's folders, and the command line on it."""

    folder: Path
    config: Path
    trust: Callable[..., Outcome]

    @property
    def floors(self) -> Path:
        return floor_store.path_in(self.folder / "state")


@pytest.fixture
def device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    config = tmp_path / "edgeward.toml"
    # A pipeline, and no key yet: the command must work on the device that still lacks one.
    config.write_text(
        '[device]\nstate_dir = "state"\n[trust]\nfolder = "trust.d"\n'
        '[[pipeline]]\nname = "line"\nbundle = "b.ewb"\n[[pipeline.stream]]\nname = "cam"\nurl = "a.mp4"\n'
    )

    def trust(*arguments: object) -> Outcome:
        action = [str(argument) for argument in arguments]
        at = 2 if action[0] == "floors" else 1
        status = main(["trust", *action[:at], "--config", str(config), *action[at:]])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        yield Device(tmp_path, config, trust)


def key_file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.pub"
    path.write_bytes(public_pem(generate().public_key()))
    path.chmod(0o644)
    return path


def print_of(path: Path) -> str:
    return fingerprint(load_public(path))


def test_a_key_is_added_listed_and_removed(device: Device) -> None:
    assert "no key is trusted" in device.trust("list").out
    key = key_file(device.folder, "release")
    added = device.trust("add", key, "--role", "release", "--names", "gate, ppe-*", "--yes")
    assert added.status == 0
    assert print_of(key) in added.out
    assert "running agent" in added.out
    table = device.trust("list").out.splitlines()
    assert table[0].split() == ["NAME", "ROLE", "STATE", "BUNDLES", "CURVE", "FINGERPRINT"]
    assert table[1].split() == ["release", "release", "active", "gate,ppe-*", "P-256", print_of(key)]
    removed = device.trust("remove", print_of(key)[:10], "--yes", "--force")
    assert "stopped and refused" in removed.out
    assert "no key is trusted" in device.trust("list").out


def test_json_says_the_same(device: Device) -> None:
    key = key_file(device.folder, "release")
    added = device.trust("add", key, "--role", "release", "--yes", "--json").document
    assert added["changed"] == "key added"
    assert added["before"] == []
    listed = device.trust("list", "--json").document
    assert listed["keys"] == added["after"]
    assert listed["keys"][0]["fingerprint"] == print_of(key)
    assert listed["folder"] == str(device.folder / "trust.d")


def test_keys_that_the_configuration_names_are_listed_too(device: Device) -> None:
    key = key_file(device.folder, "old")
    text = device.config.read_text().replace("[trust]", '[trust]\nrelease_keys = ["old.pub"]')
    device.config.write_text(text)
    assert str(key) in device.trust("list").out
    (named,) = device.trust("list", "--json").document["release_keys"]
    assert (named["role"], named["names"], named["fingerprint"]) == ("release", ["*"], print_of(key))


def test_what_is_not_read_is_warned_of(device: Device) -> None:
    key = key_file(device.folder, "release")
    device.trust("add", key, "--role", "release", "--yes")
    (device.folder / "trust.d" / "other.pub").write_bytes(key.read_bytes())
    assert f"'other.pub' in {device.folder / 'trust.d'} is not read" in device.trust("list").err


def test_nothing_is_changed_without_a_yes(device: Device) -> None:
    key = key_file(device.folder, "release")
    refused = device.trust("add", key, "--role", "release")
    assert refused.status == ExitStatus.USAGE
    assert "--yes" in refused.err
    assert not (device.folder / "trust.d").exists()


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_terminal_is_asked(answer: str, status: int, device: Device) -> None:
    key = key_file(device.folder, "release")
    command = [sys.executable, "-m", "agent.cli.main", "trust", "add", str(key), "--role", "release"]
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "--config", str(device.config)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(terminal, answer.encode())
        _, err = process.communicate(timeout=60)
        os.close(terminal)
    assert process.returncode == status, err
    assert print_of(key) in err, "it must say which key before it asks"
    assert "[y/N]" in err
    assert (device.folder / "trust.d").exists() == (status == 0)


def test_the_last_release_key_is_kept(device: Device) -> None:
    device.trust("add", key_file(device.folder, "release"), "--role", "release", "--yes")
    refused = device.trust("remove", "release", "--yes")
    assert refused.status == ExitStatus.TRUST
    assert Code.TRUST_LAST_KEY.text in refused.err
    assert "release" in device.trust("list").out


def test_a_rotation_reads_as_in_the_guide(device: Device) -> None:
    device.trust("add", key_file(device.folder, "2026"), "--role", "release", "--yes")
    device.trust("add", key_file(device.folder, "2027"), "--role", "release", "--standby", "--yes")
    assert "2027 becomes active" in device.trust("remove", "2026", "--yes").out


def test_who_removes_a_key_is_told_which_bundles_of_the_device_go_with_it(device: Device) -> None:
    release, bundle = device.folder / "release", device.folder / "b.ewb"
    assert main(["keys", "generate", "--out", str(release), "--json"]) == 0
    pack(make_author(device.folder / "author", model=b"a model of no use"), bundle)
    assert main(["bundle", "sign", str(bundle), "--key", f"{release}.key", "--json"]) == 0
    signed = bundle.read_bytes()
    bundle.write_bytes(b"not a bundle: it keeps nobody from removing a key")
    device.trust("list")  # takes what the commands above have printed

    device.trust("add", f"{release}.pub", "--role", "release", "--yes")
    other = key_file(device.folder, "other")
    device.trust("add", other, "--role", "release", "--standby", "--yes")
    assert device.trust("remove", "other", "--yes", "--json").document["refused_bundles"] == []
    bundle.write_bytes(signed)
    asked = device.trust("remove", "release", "--force")
    assert "refused from then on: gate 1.2.3" in asked.err
    removed = device.trust("remove", "release", "--force", "--yes", "--json")
    assert removed.document["refused_bundles"] == [f"gate 1.2.3 ({bundle})"]


def test_who_narrows_a_key_is_told_which_bundles_it_may_sign_no_more(device: Device) -> None:
    release, bundle = device.folder / "release", device.folder / "b.ewb"
    assert main(["keys", "generate", "--out", str(release), "--json"]) == 0
    pack(make_author(device.folder / "author", model=b"a model of no use"), bundle)
    assert main(["bundle", "sign", str(bundle), "--key", f"{release}.key", "--json"]) == 0
    device.trust("list")
    device.trust("add", f"{release}.pub", "--role", "release", "--yes")
    again = ["add", f"{release}.pub", "--role", "release", "--replace", "--yes", "--names"]
    assert "refused from then on" not in device.trust(*again, "ga*").err
    narrowed = device.trust(*again, "belt")
    assert f"refused from then on: gate 1.2.3 ({bundle})" in narrowed.err
    assert "stopped and refused" in narrowed.out


@pytest.mark.parametrize("names", ["", "belt,", "Belt", "[ab]", "a b"])
def test_names_that_no_bundle_can_have_are_said_to_be_none(names: str, device: Device) -> None:
    key = key_file(device.folder, "release")
    refused = device.trust("add", key, "--role", "release", "--names", names, "--yes")
    assert refused.status == ExitStatus.USAGE
    assert "--names" in refused.err
    assert "'conveyor,ppe-*'" in refused.err


def test_a_key_that_signs_no_bundles_takes_no_names(device: Device) -> None:
    key = key_file(device.folder, "orders")
    refused = device.trust("add", key, "--role", "operate", "--names", "gate", "--yes")
    assert refused.status == ExitStatus.USAGE
    assert "signs no bundles; leave it out" in refused.err


def test_a_key_that_the_configuration_names_too_is_not_said_to_be_gone(device: Device) -> None:
    key = key_file(device.folder, "release")
    device.trust("add", key, "--role", "release", "--yes")
    device.trust("add", key_file(device.folder, "next"), "--role", "release", "--standby", "--yes")
    text = device.config.read_text().replace("[trust]", '[trust]\nrelease_keys = ["release.pub"]')
    device.config.write_text(text)
    refused = device.trust("remove", "release", "--yes")
    assert refused.status == ExitStatus.USAGE
    assert f"{key} of trust.release_keys holds this key too" in refused.err
    assert len(device.trust("list", "--json").document["keys"]) == 2


def test_a_floor_that_could_not_be_lowered_is_told_of_in_the_log(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor_store.raise_to(device.floors, "gate", 42, "a" * 64)
    monkeypatch.setattr(held_folder, "LOCK_WAIT_S", 0.1)
    with held_folder.held(device.floors.parent, by_file=False):
        assert device.trust("floors", "lower", "gate", "--to", 1, "--yes").status == ExitStatus.SYSTEM
        assert device.trust("floors", "reset", "--yes").status == ExitStatus.SYSTEM
    lines = (device.folder / "trust.d" / "audit.jsonl").read_text().splitlines()
    assert [(record["what"], record.get("failed")) for record in map(json.loads, lines)] == [
        ("floor lowered", None),
        ("failed", "floor lowered"),
        ("floors reset", None),
        ("failed", "floors reset"),
    ]
    assert floors.load(device.floors)["gate"].counter == 42


@pytest.mark.parametrize("name", ["more.d", "release.toml"])
def test_a_trust_folder_is_not_taken_for_a_plain_key(
    name: str, device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in it would be believed, and a key that is taken out of it go on being believed."""
    (device.folder / "more.d").mkdir()
    text = device.config.read_text().replace("[trust]", f'[trust]\nrelease_keys = ["{name}"]')
    device.config.write_text(text)
    assert main(["agent", "--config", str(device.config), "--check"]) == ExitStatus.CONFIG
    assert "trust.release_keys[0]: expected a plain public key file" in capsys.readouterr().err


def test_a_private_key_is_not_taken_for_a_public_one(device: Device) -> None:
    assert main(["keys", "generate", "--out", str(device.folder / "k")]) == 0
    refused = device.trust("add", device.folder / "k.key", "--role", "release", "--yes")
    assert refused.status == ExitStatus.KEY
    assert not (device.folder / "trust.d").exists()


def test_floors_are_listed_lowered_and_logged(device: Device) -> None:
    assert "no floors yet" in device.trust("floors", "list").out
    floor_store.raise_to(device.floors, "gate", 42, "a" * 64)
    assert "gate" in device.trust("floors", "list").out
    assert device.trust("floors", "list", "--json").document["floors"] == {
        "gate": {"counter": 42, "digest": "a" * 64}
    }
    refused = device.trust("floors", "lower", "gate", "--to", 50, "--yes")
    assert refused.status == ExitStatus.USAGE
    assert device.trust("floors", "lower", "gate", "--to", 40).status == ExitStatus.USAGE
    assert floors.load(device.floors)["gate"].counter == 42
    (device.folder / "trust.d").mkdir()
    lowered = device.trust("floors", "lower", "gate", "--to", 40, "--yes")
    assert lowered.status == 0, lowered.err
    assert floors.load(device.floors) == {"gate": Floor(counter=40, digest="")}
    (record,) = map(json.loads, (device.folder / "trust.d" / "audit.jsonl").read_text().splitlines())
    assert (record["what"], record["before"], record["after"]) == ("floor lowered", 42, 40)


def test_floors_can_be_lowered_on_a_device_without_a_trust_folder(device: Device) -> None:
    floor_store.raise_to(device.floors, "gate", 42, "a" * 64)
    assert device.trust("floors", "lower", "gate", "--to", 1, "--yes", "--json").document["after"] == 1


def test_damaged_floors_are_told_and_set_aside(device: Device) -> None:
    floor_store.raise_to(device.floors, "gate", 42, "a" * 64)
    device.floors.write_text("{")
    told = device.trust("floors", "list")
    assert told.status == ExitStatus.TRUST
    assert "edgeward trust floors reset" in told.err
    aside = device.trust("floors", "reset", "--yes", "--json").document["aside"]
    assert Path(aside).read_text() == "{"
    assert "no floors yet" in device.trust("floors", "list").out


def test_an_agent_without_any_key_is_told_how_to_add_one(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agent", "--config", str(device.config), "--check"]) == ExitStatus.CONFIG
    assert "edgeward trust add" in capsys.readouterr().err
    device.trust("add", key_file(device.folder, "release"), "--role", "release", "--yes")
    assert main(["agent", "--config", str(device.config), "--check"]) == 0


def test_a_release_key_that_others_may_change_is_warned_of(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    key = key_file(device.folder, "old")
    key.chmod(0o666)
    device.config.write_text(
        device.config.read_text().replace("[trust]", '[trust]\nrelease_keys = ["old.pub"]')
    )
    assert main(["agent", "--config", str(device.config), "--check"]) == 0
    assert "others may change it" in capsys.readouterr().err
