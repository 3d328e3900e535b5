"""From an author's folder to a signed bundle: what is computed, and how mistakes are named."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bundle import container, plugins
from runtime.bundle import pack as pack_module
from runtime.bundle.digests import FileDigest
from runtime.bundle.pack import pack
from runtime.bundle.replace import replacing
from runtime.errors import Code, EdgewardError, ExitStatus

from .conftest import TOML, KeyPair, Outcome, listed, make_author

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]


def test_sizes_digests_and_blocks_are_computed(author: Path, tmp_path: Path) -> None:
    manifest = pack(author, tmp_path / "x.ewb")
    model = (author / "model.onnx").read_bytes()
    entry = manifest.file("model.onnx")
    assert (entry.size, entry.role, entry.block_size) == (70_000, "model", 32768)
    assert entry.sha256 == hashlib.sha256(model).hexdigest()
    assert entry.blocks == tuple(
        hashlib.sha256(model[at : at + 32768]).hexdigest() for at in range(0, len(model), 32768)
    )
    assert [file.path for file in manifest.files] == ["model.onnx", "docs/NOTES.txt"]


def test_the_same_folder_gives_the_same_bytes(author: Path, tmp_path: Path) -> None:
    again = make_author(tmp_path / "again", model=(author / "model.onnx").read_bytes())
    os.utime(again / "model.onnx", (1, 1))
    (again / "model.onnx").chmod(0o600)
    pack(author, tmp_path / "a.ewb")
    pack(again, tmp_path / "b.ewb")
    assert (tmp_path / "a.ewb").read_bytes() == (tmp_path / "b.ewb").read_bytes()


def test_labels_come_from_a_file_too(author: Path, tmp_path: Path) -> None:
    (author / "names.txt").write_text("\N{BOM}person\n\n traffic light \n")  # some editors begin so
    toml = TOML.replace('labels = ["person", "car"]', 'labels_file = "names.txt"')
    (author / "bundle.toml").write_text(toml)
    assert pack(author, tmp_path / "x.ewb").labels == ("person", "traffic light")


def test_what_pack_makes_verifies_up_to_the_last_byte_of_the_limit(
    author: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = 512 + 70_144 + 512 + 512  # headers, and the model and the notes in whole blocks
    limit = container.MAX_BYTES - container.MAX_FILES_BYTES + files
    monkeypatch.setattr(container, "MAX_BYTES", limit)
    monkeypatch.setattr(pack_module, "MAX_FILES_BYTES", files)
    bundle = tmp_path / "x.ewb"
    assert edgeward("bundle", "pack", author, "--out", bundle).status == 0
    assert edgeward("bundle", "sign", bundle, "--key", release.private).status == 0
    assert edgeward("bundle", "verify", bundle, "--key", release.public).status == 0
    monkeypatch.setattr(pack_module, "MAX_FILES_BYTES", files - 1)
    refused = edgeward("bundle", "pack", author, "--out", bundle)
    assert (refused.status, "in a bundle, over" in refused.err) == (ExitStatus.BUNDLE_REFUSED, True)


def test_files_of_eight_gibibytes_are_refused_before_they_are_read(
    author: Path, tmp_path: Path, edgeward: Edgeward
) -> None:
    for size in (8 << 30, (8 << 30) - 512):
        os.truncate(author / "model.onnx", size)
        outcome = edgeward("bundle", "pack", author, "--out", tmp_path / "x.ewb")
        assert (outcome.status, "in a bundle, over" in outcome.err) == (ExitStatus.BUNDLE_REFUSED, True)


def test_a_signature_that_would_make_a_bundle_too_large_is_not_added(
    author: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "x.ewb"
    pack(author, bundle)
    before = bundle.read_bytes()
    monkeypatch.setattr(container, "MAX_BYTES", len(before))
    outcome = edgeward("bundle", "sign", bundle, "--key", release.private)
    assert (outcome.status, "the bundle would have more" in outcome.err) == (ExitStatus.BUNDLE_REFUSED, True)
    assert bundle.read_bytes() == before


def test_an_engine_that_nobody_knows_is_a_warning(author: Path, tmp_path: Path, edgeward: Edgeward) -> None:
    silent = edgeward("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    assert (silent.status, silent.err) == (0, "")
    (author / "bundle.toml").write_text(TOML.replace('"onnxruntime"', '"onnx"'))
    warned = edgeward("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    assert warned.status == 0
    known = ", ".join(sorted(plugins.installed(plugins.ENGINES)))
    assert "onnxruntime" in known
    assert f"warning: variant 'cpu': the engine 'onnx' is not known, only {known}" in warned.err


def test_weights_go_into_the_bundle_as_part_of_the_model(author: Path, tmp_path: Path) -> None:
    (author / "weights.bin").write_bytes(b"weights")
    (author / "bundle.toml").write_text(
        TOML.replace("[[variant.input]]", 'weights = "weights.bin"\n[[variant.input]]')
    )
    manifest = pack(author, tmp_path / "x.ewb")
    assert manifest.variants[0].weights == "weights.bin"
    assert [(entry.path, entry.role) for entry in manifest.files] == [
        ("model.onnx", "model"),
        ("weights.bin", "model"),
        ("docs/NOTES.txt", "doc"),
    ]


def test_a_decoder_that_names_no_classes_needs_no_labels_and_gives_the_task(
    author: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    toml = TOML.replace('labels = ["person", "car"]\n', "").replace('"yolox"', '"embedding"')
    (author / "bundle.toml").write_text(toml)
    bundle = tmp_path / "x.ewb"
    manifest = pack(author, bundle)
    assert (manifest.task, manifest.labels) == ("embedding", ())
    assert edgeward("bundle", "sign", bundle, "--key", release.private).status == 0
    assert edgeward("bundle", "verify", bundle, "--key", release.public).status == 0
    shown = edgeward("bundle", "inspect", bundle, "--key", release.public).out
    assert "task         embedding, no labels\n" in shown


def test_the_task_may_be_one_that_the_decoder_gives_beside_its_usual_one(
    author: Path, tmp_path: Path
) -> None:
    faces = TOML.replace("labels = [", 'task = "keypoints"\nlabels = [').replace('"yolox"', '"yunet"')
    (author / "bundle.toml").write_text(faces)
    assert pack(author, tmp_path / "x.ewb").task == "keypoints"


def test_a_file_without_block_digests_is_hashed_without_them() -> None:
    digest = FileDigest(0)
    digest.update(b"a model")
    assert (digest.sha256, digest.finish()) == (hashlib.sha256(b"a model").hexdigest(), ())


def test_larger_blocks_keep_the_manifest_within_its_limit(
    author: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "MAX_BLOCKS", 2)
    assert pack(author, tmp_path / "x.ewb").file("model.onnx").block_size == 131072


def test_a_link_inside_the_folder_is_followed(author: Path, tmp_path: Path) -> None:
    (author / "model.onnx").rename(author / "v2.onnx")
    (author / "model.onnx").symlink_to("v2.onnx")
    assert pack(author, tmp_path / "x.ewb").file("model.onnx").size == 70_000


def test_a_file_that_changes_while_it_is_packed_is_refused(author: Path, tmp_path: Path) -> None:
    def meddle(doing: str, done: int, total: int) -> None:
        if done == total:
            (author / "docs" / "NOTES.txt").write_text("something else and longer than before")

    with pytest.raises(EdgewardError, match="changed while it was packed"):
        pack(author, tmp_path / "x.ewb", progress=meddle)
    assert listed(tmp_path) == ["author"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ewb"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as stream:
            stream.write(b"new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EdgewardError) as caught:
        fail()
    assert caught.value.code is Code.SYSTEM_DISK_FULL
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["x.ewb"]


def test_signing_again_replaces_the_signature_and_keeps_the_identity(
    small: Path, release: KeyPair, stranger: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    out = tmp_path / "y.ewb"
    signed = json.loads(
        edgeward("bundle", "sign", small, "--key", stranger.private, "--out", out, "--json").out
    )
    before = json.loads(edgeward("bundle", "verify", small, "--key", release.public, "--json").out)
    after = json.loads(edgeward("bundle", "verify", out, "--key", stranger.public, "--json").out)
    assert signed["replaced"] == before["signed_by"]
    assert after["signed_by"] == signed["signed_by"] != before["signed_by"]
    assert after["digest"] == before["digest"]


def test_a_signature_that_cannot_be_read_is_replaced_without_a_complaint(
    small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    """The remedy for such a one is to sign again."""
    bundle = tmp_path / "x.ewb"
    bundle.write_bytes(small.read_bytes().replace(b'"hint"', b'"hinx"', 1))
    signed = edgeward("bundle", "sign", bundle, "--key", release.private, "--json")
    assert (signed.status, json.loads(signed.out)["replaced"]) == (0, "")
    assert bundle.read_bytes() != small.read_bytes().replace(b'"hint"', b'"hinx"', 1)
    assert edgeward("bundle", "verify", bundle, "--key", release.public).status == 0


def test_a_damaged_bundle_is_not_signed(
    small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    bundle = tmp_path / "x.ewb"
    data = bytearray(small.read_bytes())
    data[-1536] ^= 1
    bundle.write_bytes(data)
    outcome = edgeward("bundle", "sign", bundle, "--key", release.private)
    assert outcome.status == ExitStatus.BUNDLE_REFUSED
    assert bundle.read_bytes() == bytes(data)
    assert listed(tmp_path) == ["x.ewb"]


def test_inspect_without_a_key_vouches_for_nothing(small: Path, release: KeyPair, edgeward: Edgeward) -> None:
    shown = edgeward("bundle", "inspect", small).out
    assert shown.splitlines()[0].startswith("signature    not checked")
    assert "verified" not in shown
    document = json.loads(edgeward("bundle", "inspect", small, "--json").out)
    assert (document["verified"], document["signed_by"]) == (False, "")
    assert "verified, signed by" in edgeward("bundle", "inspect", small, "--key", release.public).out


def test_keys_are_private_and_not_overwritten_by_chance(tmp_path: Path, edgeward: Edgeward) -> None:
    prefix = tmp_path / "keys" / "release"
    made = json.loads(edgeward("keys", "generate", "--out", prefix, "--json").out)
    private = Path(made["private"])
    before = private.read_bytes()
    assert private.stat().st_mode & 0o777 == 0o600
    refused = edgeward("keys", "generate", "--out", prefix)
    assert (refused.status, private.read_bytes()) == (ExitStatus.USAGE, before)
    shown = [json.loads(edgeward("keys", "show", made[kind], "--json").out) for kind in ("private", "public")]
    assert {entry["fingerprint"] for entry in shown} == {made["fingerprint"]}
    assert [entry["kind"] for entry in shown] == ["private", "public"]
    assert edgeward("keys", "generate", "--out", prefix, "--force").status == 0
    assert private.read_bytes() != before
    assert private.stat().st_mode & 0o777 == 0o600


def test_a_private_key_is_private_from_its_first_moment(
    tmp_path: Path, edgeward: Edgeward, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    real = os.fchmod

    def spy(descriptor: int, mode: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", spy)
    before = os.umask(0)
    try:
        edgeward("keys", "generate", "--out", tmp_path / "a")
        edgeward("keys", "generate", "--out", tmp_path / "a", "--force")
    finally:
        os.umask(before)
    assert modes == [0o600] * 4
