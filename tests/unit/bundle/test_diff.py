"""``edgeward bundle diff`` names what is different, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from runtime.bundle.difference import differences
from runtime.bundle.inspection import inspect_unverified
from runtime.bundle.keys import load_private
from runtime.bundle.manifest import Manifest, Preprocess
from runtime.bundle.pack import pack
from runtime.bundle.sign import sign_bundle
from runtime.errors import ExitStatus
from tests.unit.bundle.conftest import TOML, KeyPair, Outcome, make_author

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]


@pytest.fixture
def manifest(small: Path) -> Manifest:
    return inspect_unverified(small).manifest


def said(old: Manifest, new: Manifest) -> list[tuple[str, str]]:
    return [(change.kind, change.key) for change in differences(old, new)]


def test_a_bundle_is_not_different_from_itself(manifest: Manifest) -> None:
    assert differences(manifest, manifest) == []


def test_each_field_that_differs_is_named_once(manifest: Manifest) -> None:
    new = msgspec.structs.replace(
        manifest,
        version="2.0.0",
        labels=("person", "bus"),
        preprocess=Preprocess(fit="crop", order="bgr"),
        postprocess=msgspec.structs.replace(manifest.postprocess, score_threshold=0.5),
    )
    assert said(manifest, new) == [
        ("changed", "version"),
        ("changed", "labels"),
        ("changed", "preprocess.fit"),
        ("changed", "postprocess.score_threshold"),
    ]


def test_variants_are_compared_by_their_ids(manifest: Manifest) -> None:
    base = manifest.variants[0]
    other = msgspec.structs.replace(base, id="small", precision="int8")
    both = msgspec.structs.replace(manifest, variants=(base, other))
    assert said(manifest, both) == [("added", "variants.small")]
    assert said(both, manifest) == [("removed", "variants.small")]
    swapped = msgspec.structs.replace(manifest, variants=(other, base))
    assert said(both, swapped) == [("changed", "variants (order)")]
    own = msgspec.structs.replace(base, preprocess=Preprocess())
    assert said(manifest, msgspec.structs.replace(manifest, variants=(own,))) == [
        ("added", "variants.cpu.preprocess")
    ]


def test_another_decoder_is_a_change_of_the_decoder(manifest: Manifest) -> None:
    raw = msgspec.to_builtins(manifest) | {"postprocess": {"decoder": "yolov10"}}
    found = said(manifest, msgspec.convert(raw, Manifest))
    assert ("changed", "postprocess.decoder") in found
    assert ("removed", "postprocess.strides") in found


def test_files_are_compared_by_digest_and_renames_are_seen(manifest: Manifest) -> None:
    model, notes = manifest.files
    moved = msgspec.structs.replace(notes, path="docs/README.txt")
    changed = msgspec.structs.replace(model, sha256="0" * 64)
    new = msgspec.structs.replace(manifest, files=(changed, moved))
    assert said(manifest, new) == [("renamed", "files.docs/NOTES.txt"), ("changed", "files.model.onnx")]
    fewer = msgspec.structs.replace(manifest, files=(model,))
    assert said(manifest, fewer) == [("removed", "files.docs/NOTES.txt")]
    assert said(fewer, manifest) == [("added", "files.docs/NOTES.txt")]


def test_budgets_that_come_and_go_are_named(manifest: Manifest) -> None:
    raw = msgspec.to_builtins(manifest) | {"budgets": {"memory_mb": 80.0}}
    new = msgspec.convert(raw, Manifest)
    assert said(manifest, new) == [("added", "budgets.memory_mb")]
    assert said(new, manifest) == [("removed", "budgets.memory_mb")]


def test_the_command_ends_with_a_status_of_its_own(
    small: Path, tmp_path: Path, release: KeyPair, edgeward: Edgeward
) -> None:
    other = tmp_path / "other.ewb"
    toml = TOML.replace("1.2.3", "1.3.0")
    pack(make_author(tmp_path / "author", model=b"a better model", toml=toml), other)
    sign_bundle(other, load_private(release.private))
    shown = edgeward("bundle", "diff", small, other, "--key", release.public)
    assert shown.status == ExitStatus.DIFFERENT
    assert '~ version: "1.2.3" -> "1.3.0"\n' in shown.out
    assert "~ files.model.onnx: model 17 B" in shown.out
    assert shown.out.count("verified, signed by") == 2
    document = json.loads(edgeward("bundle", "diff", small, other, "--json").out)
    assert (document["same"], document["verified"]) == (False, False)
    assert {"kind": "changed", "key": "version", "old": "1.2.3", "new": "1.3.0"} in document["changes"]
    assert "not checked" in edgeward("bundle", "diff", small, other).out


def test_the_same_bundle_signed_by_another_is_the_same(
    small: Path, tmp_path: Path, stranger: KeyPair, edgeward: Edgeward
) -> None:
    other = tmp_path / "other.ewb"
    shutil.copyfile(small, other)
    sign_bundle(other, load_private(stranger.private))
    shown = edgeward("bundle", "diff", small, other)
    assert (shown.status, shown.out.splitlines()[-1]) == (0, "the same: every file and every field")


def test_a_bundle_of_a_stranger_is_refused_with_a_key(
    small: Path, tmp_path: Path, release: KeyPair, stranger: KeyPair, edgeward: Edgeward
) -> None:
    other = tmp_path / "other.ewb"
    shutil.copyfile(small, other)
    sign_bundle(other, load_private(stranger.private))
    refused = edgeward("bundle", "diff", small, other, "--key", release.public)
    assert (refused.status, refused.out) == (ExitStatus.BUNDLE_REFUSED, "")
