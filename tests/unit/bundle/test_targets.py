"""What a command writes onto: nothing of anybody else's is lost, and nothing half made is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bundle import archive, replace, staging
from runtime.bundle.archive import Front, Sink
from runtime.bundle.container import Reader
from runtime.bundle.replace import replacing
from runtime.bundle.unpack import unpack
from runtime.errors import Code, EdgewardError, ExitStatus

from .conftest import KeyPair, Outcome, listed

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]
ROOT = Path(__file__).parents[3]


def as_fifo(path: Path) -> None:
    os.mkfifo(path)


def as_link(path: Path) -> None:
    path.with_suffix(".real").write_bytes(b"precious")
    path.symlink_to(path.with_suffix(".real"))


def as_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))


@pytest.mark.parametrize("make", [Path.mkdir, as_fifo, as_link, as_device])
def test_only_a_regular_file_is_replaced(
    make: Callable[[Path], None],
    author: Path,
    small: Path,
    release: KeyPair,
    tmp_path: Path,
    edgeward: Edgeward,
) -> None:
    out = tmp_path / "x.ewb"
    make(out)
    before = out.lstat()
    packed = edgeward("bundle", "pack", author, "--out", out)
    signed = edgeward("bundle", "sign", small, "--key", release.private, "--out", out)
    for outcome in (packed, signed):
        assert outcome.status == ExitStatus.USAGE
        assert f"{out}: this is a" in outcome.err
    assert out.lstat() == before


@pytest.mark.parametrize("name", ["bundle.toml", "model.onnx", "docs/NOTES.txt", "names.txt"])
def test_a_file_that_is_packed_is_not_overwritten(
    name: str, author: Path, tmp_path: Path, edgeward: Edgeward
) -> None:
    toml = (author / "bundle.toml").read_text()
    (author / "names.txt").write_text("person\ncar\n")
    toml = toml.replace('labels = ["person", "car"]', 'labels_file = "names.txt"')
    (author / "bundle.toml").write_text(toml)
    before = (author / name).read_bytes()
    outcome = edgeward("bundle", "pack", author, "--out", author / "docs" / ".." / name)
    assert (outcome.status, "it is read from" in outcome.err) == (ExitStatus.USAGE, True)
    assert (author / name).read_bytes() == before


def test_the_key_that_signs_is_not_overwritten(
    small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    key = tmp_path / "my.key"
    key.touch(0o600)
    key.write_bytes(release.private.read_bytes())
    outcome = edgeward("bundle", "sign", small, "--key", key, "--out", key)
    assert (outcome.status, "it is read from" in outcome.err) == (ExitStatus.USAGE, True)
    assert key.read_bytes() == release.private.read_bytes()


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "x.ewb"
    with replacing(path) as first:
        first.write(b"first")
        with replacing(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert listed(tmp_path) == ["x.ewb"]


def test_a_long_name_in_any_script_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("犬" * 80)
    with replacing(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"


def interrupted(number: signal.Signals, folder: Path) -> int:
    """``keys generate`` that gets a signal while it brings the first file to the disk."""
    code = (
        "import os, sys; from agent.cli.main import main\n"
        f"os.fsync = lambda _: os.kill(os.getpid(), {int(number)})\n"
        "sys.exit(main(['keys', 'generate', '--out', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, str(folder / "deep" / "release")]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_key_behind(number: signal.Signals, tmp_path: Path) -> None:
    # Under nohup the tests, and with them their children, would ignore a SIGHUP.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert interrupted(number, tmp_path) == 128 + number
    finally:
        signal.signal(number, before)
    assert listed(tmp_path) == []


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert interrupted(signal.SIGHUP, tmp_path) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path, edgeward: Edgeward) -> None:
    assert interrupted(signal.SIGKILL, tmp_path) == -signal.SIGKILL
    (left,) = listed(tmp_path / "deep")
    assert left.startswith(".")
    assert edgeward("keys", "generate", "--out", tmp_path / "deep" / "release").status == 0
    assert listed(tmp_path / "deep") == ["release.key", "release.pub"]


def test_a_new_key_that_cannot_be_written_in_full_costs_nothing(
    tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "keys" / "release"
    real = os.fsync
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert edgeward("keys", "generate", "--out", prefix).status == ExitStatus.SYSTEM
    assert listed(tmp_path) == []
    assert edgeward("keys", "generate", "--out", prefix).status == 0
    before = [prefix.with_suffix(end).read_bytes() for end in (".key", ".pub")]
    calls.clear()
    assert edgeward("keys", "generate", "--out", prefix, "--force").status == ExitStatus.SYSTEM
    assert [prefix.with_suffix(end).read_bytes() for end in (".key", ".pub")] == before


def test_the_old_key_stays_when_the_public_one_has_no_place(tmp_path: Path, edgeward: Edgeward) -> None:
    prefix = tmp_path / "release"
    assert edgeward("keys", "generate", "--out", prefix).status == 0
    before = (tmp_path / "release.key").read_bytes()
    (tmp_path / "release.pub").unlink()
    (tmp_path / "release.pub").mkdir()
    assert edgeward("keys", "generate", "--out", prefix, "--force").status == ExitStatus.USAGE
    assert (tmp_path / "release.key").read_bytes() == before
    assert listed(tmp_path) == ["release.key", "release.pub"]


def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = replace.check_target

    def late(path: Path) -> None:
        real(path)
        (tmp_path / "release.key").write_bytes(b"precious")

    monkeypatch.setattr(replace, "check_target", late)
    assert edgeward("keys", "generate", "--out", tmp_path / "release").status == ExitStatus.USAGE
    assert (tmp_path / "release.key").read_bytes() == b"precious"
    assert listed(tmp_path) == ["release.key"]


@pytest.mark.parametrize("prefix", ["..", "x/..", "."])
def test_a_prefix_that_names_no_file_is_refused(
    prefix: str, tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert edgeward("keys", "generate", "--out", prefix).status == ExitStatus.USAGE
    assert listed(tmp_path) == []


@pytest.mark.parametrize("kind", ["a file in it", "a file in its place"])
def test_what_is_put_into_the_place_of_a_folder_meanwhile_stays(
    kind: str, small: Path, release: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    mine = out if kind == "a file in its place" else out / "mine"
    real = archive.verify_rest

    def meddle(reader: Reader, front: Front, sink: Sink) -> None:
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("precious")
        real(reader, front, sink)

    monkeypatch.setattr(archive, "verify_rest", meddle)
    with pytest.raises(EdgewardError, match="not an empty folder") as caught:
        unpack(small, [release.public], out)
    assert caught.value.code is Code.USAGE
    assert mine.read_text() == "precious"
    assert listed(tmp_path) == ["out"]


def test_an_empty_folder_is_unpacked_into(small: Path, release: KeyPair, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    unpack(small, [release.public], tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").is_file()


def test_the_current_folder_is_not_replaced(
    small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (".", tmp_path, "x/.."):
        outcome = edgeward("bundle", "unpack", small, "--key", release.public, "--out", out)
        assert outcome.status == ExitStatus.USAGE
    assert Path.cwd() == tmp_path
    assert listed(tmp_path) == []


def test_a_refused_bundle_leaves_no_folders_above_its_place(
    small: Path, stranger: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    out = tmp_path / "na" / "b" / "c"
    outcome = edgeward("bundle", "unpack", small, "--key", stranger.public, "--out", out)
    assert outcome.status == ExitStatus.BUNDLE_REFUSED
    assert listed(tmp_path) == []


def test_who_waits_too_long_for_a_store_names_it(tmp_path: Path) -> None:
    with (
        staging.locked(tmp_path),
        pytest.raises(EdgewardError) as caught,
        staging.locked(tmp_path, wait_s=0.1),
    ):
        pass
    assert caught.value.code is Code.SYSTEM_BUSY
    assert caught.value.where == str(tmp_path)


@pytest.mark.parametrize("command", ["verify", "inspect", "pack"])
def test_a_path_that_is_too_long_is_unreadable(command: str, release: KeyPair, edgeward: Edgeward) -> None:
    more = ["--out", "x.ewb"] if command == "pack" else ["--key", release.public]
    assert edgeward("bundle", command, "x" * 300, *more).status == ExitStatus.BUNDLE_UNREADABLE


def test_a_stick_without_links_takes_new_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")  # as FAT says it

    monkeypatch.setattr(os, "link", unable)
    new = replace.NewFile(tmp_path / "a.key", b"secret", 0o600)
    replace.write_together([new], replace=False)
    assert new.path.read_bytes() == b"secret"
    assert new.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(EdgewardError, match="it exists") as caught:
        replace.write_together([new._replace(data=b"other")], replace=False)
    assert caught.value.code is Code.USAGE
    assert new.path.read_bytes() == b"secret"
    assert listed(tmp_path) == ["a.key"]
