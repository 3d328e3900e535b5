"""``edgeward bundle extract`` gives single files of a bundle that was verified as a whole, or none."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bundle.extract import extract
from runtime.errors import Code, EdgewardError, ExitStatus
from tests.unit.bundle.conftest import KeyPair, Outcome, check_line

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]
MODEL, NOTES = b"a model of no use", b"trained on the gate's camera\n"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_files_that_are_named_come_out_and_no_others(
    small: Path, tmp_path: Path, release: KeyPair, edgeward: Edgeward
) -> None:
    out = tmp_path / "new" / "out"
    done = edgeward(
        "bundle", "extract", small, "docs/NOTES.txt", "model.onnx", "--key", release.public, "--out", out
    )
    assert (done.status, done.err) == (0, "")
    assert tree(out) == {"docs/NOTES.txt": NOTES, "model.onnx": MODEL}
    assert (out / "model.onnx").stat().st_mode & 0o777 == 0o644


def test_manifest_and_signature_can_be_taken_out_too(
    small: Path, tmp_path: Path, release: KeyPair, edgeward: Edgeward
) -> None:
    arguments = ("bundle", "extract", small, "manifest.json", "model.sig", "--key", release.public)
    document = json.loads(edgeward(*arguments, "--out", tmp_path / "out", "--json").out)
    assert set(tree(tmp_path / "out")) == {"manifest.json", "model.sig"} == set(document["files"])
    assert json.loads((tmp_path / "out" / "manifest.json").read_bytes())["name"] == document["name"] == "gate"


@pytest.mark.parametrize("name", ["nope", "../model.onnx", "/etc/passwd", "docs", "docs/", ""])
def test_a_name_that_the_bundle_has_not_is_refused(
    name: str, small: Path, tmp_path: Path, release: KeyPair, edgeward: Edgeward
) -> None:
    arguments = ("bundle", "extract", small, "model.onnx", name, "--key", release.public)
    refused = edgeward(*arguments, "--out", tmp_path / "out")
    check_line(refused, ExitStatus.USAGE, "there is no file", "inspect")
    assert tree(tmp_path) == {}


def test_what_is_there_is_not_overwritten(
    small: Path, tmp_path: Path, release: KeyPair, edgeward: Edgeward
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"mine")
    arguments = ("bundle", "extract", small, "docs/NOTES.txt", "model.onnx", "--key", release.public)
    check_line(edgeward(*arguments, "--out", tmp_path), ExitStatus.USAGE, "exists already")
    assert tree(tmp_path) == {"model.onnx": b"mine"}


def test_one_changed_byte_in_another_file_and_nothing_comes_out(
    small: Path, tmp_path: Path, release: KeyPair
) -> None:
    data = bytearray(small.read_bytes())
    at = data.index(NOTES)
    data[at] ^= 1
    bundle, out = tmp_path / "x.ewb", tmp_path / "out"
    bundle.write_bytes(data)
    with pytest.raises(EdgewardError) as refused:
        extract(bundle, [release.public], ["model.onnx"], out)
    assert refused.value.code is Code.BUNDLE_DIGEST
    assert not out.exists()


def test_a_bundle_of_a_stranger_gives_nothing(small: Path, tmp_path: Path, stranger: KeyPair) -> None:
    with pytest.raises(EdgewardError) as refused:
        extract(small, [stranger.public], ["model.onnx"], tmp_path / "out")
    assert refused.value.code.text.startswith("bundle.")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_interrupt_between_two_files_takes_back_the_first(
    fails_at: int, small: Path, tmp_path: Path, release: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, calls = os.link, []

    def stopped(one: Path, two: Path) -> None:
        calls.append(two)
        if len(calls) == fails_at:
            raise KeyboardInterrupt
        link(one, two)

    monkeypatch.setattr(os, "link", stopped)
    with pytest.raises(KeyboardInterrupt):
        extract(small, [release.public], ["model.onnx", "docs/NOTES.txt"], tmp_path / "out")
    assert tree(tmp_path) == {}


def test_a_file_system_without_hard_links_takes_them_too(
    small: Path, tmp_path: Path, release: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Path) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", none)
    extract(small, [release.public], ["model.onnx"], tmp_path / "out")
    assert tree(tmp_path) == {"out/model.onnx": MODEL}
