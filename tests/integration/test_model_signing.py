"""Both ways with the reference, PyPI's ``model_signing``: it takes what we sign, we take what it signs.

Where it lets something pass that we refuse, the table says so: should a newer version judge otherwise, it is
noticed here.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from agent.cli.main import main
from runtime.bundle.keys import private_pem, public_pem
from runtime.errors import Code
from tests.conftest import ROOT
from tests.gate import GATE

pytestmark = [pytest.mark.integration, pytest.mark.command]

TOOL = ROOT / ".venv-model-signing" / "bin" / "model_signing"
TOML = f"""\
{GATE}[[file]]
path = "docs/notes.txt"
role = "doc"
[[file]]
path = "docs/more/notes.txt"
role = "doc"
[[file]]
path = "docs-more.txt"
role = "doc"
"""


class Keys(NamedTuple):
    private: Path
    public: Path


def make_keys(folder: Path, name: str, curve: ec.EllipticCurve) -> Keys:
    key = ec.generate_private_key(curve)
    keys = Keys(folder / f"{name}.key", folder / f"{name}.pub")
    keys.private.write_bytes(private_pem(key))
    keys.private.chmod(0o600)
    keys.public.write_bytes(public_pem(key.public_key()))
    return keys


def reference(*arguments: object) -> subprocess.CompletedProcess[str]:
    assert TOOL.is_file(), "script/bootstrap test makes .venv-model-signing"
    command = [TOOL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def reference_verifies(folder: Path, public: Path) -> bool:
    done = reference("verify", "key", folder, "--signature", folder / "model.sig", "--public_key", public)
    assert done.returncode == 0 or "Traceback" not in done.stderr, done.stderr
    return done.returncode == 0


def reference_signs(folder: Path, private: Path) -> None:
    (folder / "model.sig").unlink(missing_ok=True)
    done = reference("sign", "key", folder, "--signature", folder / "model.sig", "--private_key", private)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed bundle, not signed; its names sort in another way by folder than by letter."""
    folder = tmp_path_factory.mktemp("packed")
    author = folder / "author"
    (author / "docs" / "more").mkdir(parents=True)
    (author / "bundle.toml").write_text(TOML)
    (author / "model.onnx").write_bytes(b"a model of no use")
    for name in ("docs/notes.txt", "docs/more/notes.txt", "docs-more.txt"):
        (author / name).write_text(f"this is {name}\n")
    bundle = folder / "gate.ewb"
    assert main(["bundle", "pack", str(author), "--out", str(bundle), "--json"]) == 0
    return bundle


def unpacked(packed: Path, work: Path, keys: Keys) -> Path:
    """Signed by us and unpacked by us."""
    bundle, folder = work / "gate.ewb", work / "gate"
    shutil.copy(packed, bundle)
    assert main(["bundle", "sign", str(bundle), "--key", str(keys.private), "--json"]) == 0
    command = ["bundle", "unpack", str(bundle), "--key", str(keys.public), "--out", str(folder), "--json"]
    assert main(command) == 0
    return folder


CURVES = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_the_reference_verifies_what_we_signed_and_unpacked(
    curve: ec.EllipticCurve, packed: Path, tmp_path: Path
) -> None:
    keys = make_keys(tmp_path, "ours", curve)
    assert reference_verifies(unpacked(packed, tmp_path, keys), keys.public)
    other = make_keys(tmp_path, "other", curve)
    assert not reference_verifies(tmp_path / "gate", other.public)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_we_verify_a_folder_that_the_reference_signed(
    curve: ec.EllipticCurve, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = make_keys(tmp_path, "ours", ec.SECP256R1())
    theirs = make_keys(tmp_path, "theirs", curve)
    folder = unpacked(packed, tmp_path, ours)
    reference_signs(folder, theirs.private)
    capsys.readouterr()
    assert main(["bundle", "verify", str(folder), "--key", str(theirs.public), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verified"], document["name"]) == (True, "gate")
    assert main(["bundle", "verify", str(folder), "--key", str(ours.public), "--json"]) != 0


def test_both_call_the_bundle_by_the_same_digest(packed: Path, tmp_path: Path) -> None:
    """The subject digest, in two signature files that have nothing else in common."""
    keys = make_keys(tmp_path, "ours", ec.SECP256R1())
    folder = unpacked(packed, tmp_path, keys)
    ours = subject(folder)
    reference_signs(folder, keys.private)
    assert subject(folder) == ours


def subject(folder: Path) -> Any:
    payload = json.loads((folder / "model.sig").read_text())["dsseEnvelope"]["payload"]
    return json.loads(base64.b64decode(payload))["subject"][0]["digest"]


def signature(folder: Path, change: Callable[[Any], object]) -> None:
    path = folder / "model.sig"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, separators=(",", ":")))


def swap_for_link(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "moved")
    (folder / "model.onnx").symlink_to(folder.parent / "moved")


def second_link(folder: Path) -> None:
    (folder.parent / "outside").unlink(missing_ok=True)
    os.link(folder / "model.onnx", folder.parent / "outside")


def plant_git(folder: Path) -> None:
    (folder / ".git" / "hooks").mkdir(parents=True)
    (folder / ".git" / "hooks" / "post-checkout").write_text("#!/bin/sh\n")


def double_hint(folder: Path) -> None:
    path = folder / "model.sig"
    path.write_text(path.read_text().replace('"hint":', '"hint":"","hint":', 1))


def sign_again(document: Any) -> None:
    document["dsseEnvelope"]["signatures"] *= 2


class Row(NamedTuple):
    """One tampering: what we answer, and whether the reference refuses it too."""

    change: Callable[[Path], object]
    code: Code
    reference_refuses: bool = True


TAMPERED = {
    "a changed byte": Row(lambda f: (f / "model.onnx").write_bytes(b"A model of no use"), Code.BUNDLE_DIGEST),
    "a changed byte of the manifest": Row(
        lambda f: (f / "manifest.json").write_bytes((f / "manifest.json").read_bytes() + b" "),
        Code.BUNDLE_DIGEST,
    ),
    "an added file": Row(lambda f: (f / "more.bin").write_bytes(b""), Code.BUNDLE_UNSIGNED_FILE),
    "an added file in a folder": Row(
        lambda f: (f / "docs" / "more.bin").write_bytes(b""), Code.BUNDLE_UNSIGNED_FILE
    ),
    "a removed file": Row(lambda f: (f / "docs-more.txt").unlink(), Code.BUNDLE_MISSING_FILE),
    "a renamed file": Row(
        lambda f: (f / "docs-more.txt").rename(f / "docs-most.txt"), Code.BUNDLE_UNSIGNED_FILE
    ),
    "two files that changed places": Row(
        lambda f: (
            (f / "docs-more.txt").rename(f / "x"),
            (f / "docs" / "notes.txt").rename(f / "docs-more.txt"),
            (f / "x").rename(f / "docs" / "notes.txt"),
        ),
        Code.BUNDLE_DIGEST,
    ),
    "a symlinked file": Row(swap_for_link, Code.BUNDLE_MEMBER_SYMLINK),
    "a file with a second name outside": Row(
        second_link, Code.BUNDLE_MEMBER_HARDLINK, reference_refuses=False
    ),
    "a planted .git": Row(plant_git, Code.BUNDLE_UNSIGNED_FILE, reference_refuses=False),
    "a planted .gitattributes": Row(
        lambda f: (f / ".gitattributes").write_text("*.onnx filter=x\n"),
        Code.BUNDLE_UNSIGNED_FILE,
        reference_refuses=False,
    ),
    "a signature without a hint": Row(
        lambda f: signature(f, lambda d: d["verificationMaterial"]["publicKey"].pop("hint")),
        Code.BUNDLE_MISSING_HINT,
        reference_refuses=False,
    ),
    "a second signature": Row(
        lambda f: signature(f, sign_again), Code.BUNDLE_SECOND_SIGNATURE, reference_refuses=False
    ),
    "a hint that stands twice": Row(double_hint, Code.BUNDLE_DUPLICATE_JSON_KEY, reference_refuses=False),
    "an edited payload": Row(
        lambda f: signature(f, lambda d: d["dsseEnvelope"].update(payload="e30=")), Code.BUNDLE_SIGNATURE
    ),
    "no signature": Row(lambda f: (f / "model.sig").unlink(), Code.BUNDLE_UNSIGNED),
}


@pytest.mark.parametrize("signer", ["ours", "theirs"])
@pytest.mark.parametrize("name", TAMPERED)
def test_a_folder_is_refused_with(
    name: str, signer: str, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = make_keys(tmp_path, "release", ec.SECP256R1())
    folder = unpacked(packed, tmp_path, keys)
    if signer == "theirs":
        reference_signs(folder, keys.private)
    verify = ["bundle", "verify", str(folder), "--key", str(keys.public), "--json"]
    assert main(verify) == 0
    row = TAMPERED[name]
    row.change(folder)
    capsys.readouterr()
    assert main(verify) == row.code.exit_status
    captured = capsys.readouterr()
    assert (captured.out, json.loads(captured.err)["error"]["code"]) == ("", row.code.text)
    assert reference_verifies(folder, keys.public) != row.reference_refuses


def test_a_folder_signed_by_another_key_is_refused_by_both(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = make_keys(tmp_path, "release", ec.SECP256R1())
    other = make_keys(tmp_path, "other", ec.SECP256R1())
    folder = unpacked(packed, tmp_path, keys)
    reference_signs(folder, other.private)
    capsys.readouterr()
    assert main(["bundle", "verify", str(folder), "--key", str(keys.public), "--json"]) != 0
    assert json.loads(capsys.readouterr().err)["error"]["code"] == Code.BUNDLE_UNTRUSTED_KEY.text
    assert not reference_verifies(folder, keys.public)
