"""Into the store: all of a bundle or nothing, and what lies there is never believed unseen."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.bundle import file_lock, staging
from runtime.bundle.ingest import ingest_file as ingest
from runtime.bundle.ingested import Ingested
from runtime.errors import Code, EdgewardError

from .conftest import KeyPair, listed

pytestmark = pytest.mark.unit


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def test_a_bundle_lies_under_its_digest(small: Path, release: KeyPair, into: Path) -> None:
    found = ingest(small, [release.public], into)
    assert (found.name, found.version, found.release_counter, found.new) == ("gate", "1.2.3", 7, True)
    assert found.path == into / found.digest
    assert (found.path / "model.onnx").read_bytes() == b"a model of no use"
    assert listed(found.path) == ["docs", "manifest.json", "model.onnx", "model.sig"]
    assert listed(into) == [found.digest]


def test_a_sound_bundle_is_not_written_twice(small: Path, release: KeyPair, into: Path) -> None:
    first = ingest(small, [release.public], into)
    inode = first.path.stat().st_ino
    again = ingest(small, [release.public], into)
    assert (again.new, again.digest, again.path.stat().st_ino) == (False, first.digest, inode)


def test_a_sound_bundle_needs_no_space(
    small: Path, release: KeyPair, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest(small, [release.public], into)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.mkdir
    for call in ("write", "fsync", "fdatasync"):
        monkeypatch.setattr(os, call, full)
    monkeypatch.setattr(
        os,
        "mkdir",
        lambda path, *more, **named: full() if not Path(path).exists() else real(path, *more, **named),
    )
    again = ingest(small, [release.public], into)
    assert (again.new, again.digest) == (False, first.digest)


def test_a_damaged_file_is_refused_though_its_bundle_lies_there_sound(
    small: Path, release: KeyPair, into: Path, tmp_path: Path
) -> None:
    found = ingest(small, [release.public], into)
    data = bytearray(small.read_bytes())
    data[-1536] ^= 1
    (tmp_path / "x.ewb").write_bytes(data)
    with pytest.raises(EdgewardError) as caught:
        ingest(tmp_path / "x.ewb", [release.public], into)
    assert caught.value.code is Code.BUNDLE_DIGEST
    assert listed(into) == [found.digest]


@pytest.mark.parametrize("damage", ["changed", "added", "removed", "a link", "a file"])
def test_a_damaged_one_is_replaced(damage: str, small: Path, release: KeyPair, into: Path) -> None:
    found = ingest(small, [release.public], into)
    model = found.path / "model.onnx"
    if damage == "changed":
        model.write_bytes(b"a model of NO use")
    elif damage == "added":
        (found.path / "more").touch()
    elif damage == "removed":
        model.unlink()
    else:
        found.path.rename(into.parent / "elsewhere")
        if damage == "a link":
            found.path.symlink_to(into.parent / "elsewhere")
        else:
            found.path.touch()
    again = ingest(small, [release.public], into)
    assert again.new
    assert model.read_bytes() == b"a model of no use"
    assert not found.path.is_symlink()
    assert listed(into) == [found.digest]


def test_what_a_killed_process_left_is_swept(small: Path, release: KeyPair, into: Path) -> None:
    (into / f"{staging.PREFIX}dead" / "deep").mkdir(parents=True)
    found = ingest(small, [release.public], into)
    assert listed(into) == [found.digest]


def test_nobody_sweeps_while_another_one_works(into: Path) -> None:
    with staging.locked(into), staging.fresh(into) as staged:
        staging.sweep(into)
        assert staged.folder.is_dir()
    assert listed(into) == []


def test_a_store_that_vanishes_meanwhile_is_named(
    small: Path, release: KeyPair, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdatasync

    def vanishing(descriptor: int) -> None:
        shutil.rmtree(into, ignore_errors=True)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", vanishing)
    with pytest.raises(EdgewardError, match="no such file") as caught:
        ingest(small, [release.public], into)
    assert caught.value.code is Code.SYSTEM_IO


def test_a_store_without_locks_keeps_nobody_from_naming_what_failed(
    into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    into.mkdir()
    monkeypatch.setattr(fcntl, "flock", unable)
    staging.sweep(into)
    with pytest.raises(EdgewardError, match="no locks available") as caught, staging.locked(into):
        pass
    assert caught.value.code is Code.SYSTEM_IO


def test_a_refusal_waits_for_nobody(
    small: Path, release: KeyPair, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.ewb").write_bytes(small.read_bytes()[:700])
    monkeypatch.setattr(file_lock, "lock", lambda *_, **__: pytest.fail("the store was waited for"))
    with pytest.raises(EdgewardError) as caught:
        ingest(tmp_path / "x.ewb", [release.public], into)
    assert caught.value.code is Code.BUNDLE_TRUNCATED


def test_a_refused_bundle_leaves_nothing(small: Path, release: KeyPair, into: Path, tmp_path: Path) -> None:
    data = bytearray(small.read_bytes())
    data[-1536] ^= 1
    (tmp_path / "x.ewb").write_bytes(data)
    with pytest.raises(EdgewardError):
        ingest(tmp_path / "x.ewb", [release.public], into)
    assert listed(into) == []


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "rename"])
def test_a_full_disk_is_named_and_leaves_nothing(
    call: str, small: Path, release: KeyPair, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(EdgewardError) as caught:
        ingest(small, [release.public], into)
    monkeypatch.undo()
    assert caught.value.code is Code.SYSTEM_DISK_FULL
    assert listed(into) == []


class Room(NamedTuple):
    """What ``statvfs`` says, as far as it counts."""

    f_bavail: int
    f_frsize: int = 4096
    f_blocks: int = 1000


def test_a_bundle_that_does_not_fit_is_not_begun(
    small: Path, release: KeyPair, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", lambda _: Room(f_bavail=0))
    monkeypatch.setattr(os, "write", lambda *_: pytest.fail("something was written"))
    with pytest.raises(EdgewardError, match="2 KiB are needed, 0 KiB are free") as caught:
        ingest(small, [release.public], into)
    assert caught.value.code is Code.SYSTEM_DISK_FULL
    assert listed(into) == []


def test_a_file_system_that_does_not_say_what_is_free_is_tried(
    small: Path, release: KeyPair, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", lambda _: Room(f_bavail=0, f_blocks=0))
    assert ingest(small, [release.public], into).new


def test_a_hard_link_in_the_store_is_replaced_by_a_file(small: Path, release: KeyPair, into: Path) -> None:
    model = ingest(small, [release.public], into).path / "model.onnx"
    os.link(model, into.parent / "another name")
    assert ingest(small, [release.public], into).new
    assert model.stat().st_nlink == 1


def test_a_store_that_cannot_be_made_is_named(small: Path, release: KeyPair, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgewardError) as caught:
        ingest(small, [release.public], tmp_path / "file" / "bundles")
    assert caught.value.code is Code.SYSTEM_IO


def test_staging_is_private_until_it_is_complete(
    small: Path, release: KeyPair, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = set()
    real = os.fdatasync

    def spy(descriptor: int) -> None:
        modes.update(path.stat().st_mode & 0o777 for path in into.glob(f"{staging.PREFIX}*"))
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", spy)
    ingest(small, [release.public], into)
    assert modes == {0o700}


def test_the_agent_s_side_loads_no_crypto_library() -> None:
    code = "import sys, agent.trust.ingest, runtime.bundle.ingested; sys.exit('cryptography' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_what_is_stored_is_named_in_full() -> None:
    assert Ingested.__struct_fields__ == (
        "name",
        "version",
        "release_counter",
        "digest",
        "manifest_sha256",
        "signed_by",
        "folder",
        "size",
        "new",
    )
