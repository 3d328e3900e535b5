"""What a user can get wrong: one clear line with what, where and what to do, and the documented status."""

from __future__ import annotations

import gzip
import json
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from runtime.errors import ExitStatus

from .conftest import KeyPair, Outcome, check_line

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]


def as_folder(path: Path, good: bytes) -> None:
    path.mkdir()


def as_fifo(path: Path, good: bytes) -> None:
    os.mkfifo(path)


def as_link(path: Path, good: bytes) -> None:
    target = path.with_suffix(".real")
    target.write_bytes(good)
    path.symlink_to(target)


def as_dangling_link(path: Path, good: bytes) -> None:
    path.symlink_to(path.with_suffix(".gone"))


def as_socket(path: Path, good: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


def as_zip(path: Path, good: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gate.ewb", good)


def flipped(good: bytes, at: int) -> bytes:
    return good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]


def unsigned(good: bytes) -> bytes:
    sig_blocks = 512 + -(-int(good[124:135], 8) // 512) * 512
    return good[sig_blocks:]


BUNDLES: dict[str, tuple[Callable[[Path, bytes], object], ExitStatus, str]] = {
    "missing": (lambda p, g: None, ExitStatus.BUNDLE_UNREADABLE, "no such file"),
    "a folder": (as_folder, ExitStatus.BUNDLE_REFUSED, "a folder"),
    "a FIFO": (as_fifo, ExitStatus.BUNDLE_REFUSED, "this is a FIFO"),
    "a symbolic link": (as_link, ExitStatus.BUNDLE_REFUSED, "this is a symbolic link"),
    "a dangling link": (as_dangling_link, ExitStatus.BUNDLE_REFUSED, "this is a symbolic link"),
    "a socket": (as_socket, ExitStatus.BUNDLE_REFUSED, "this is a socket"),
    "empty": (lambda p, g: p.touch(), ExitStatus.BUNDLE_REFUSED, "the file is empty"),
    "gzip": (lambda p, g: p.write_bytes(gzip.compress(g)), ExitStatus.BUNDLE_REFUSED, "a gzip file"),
    "zip": (as_zip, ExitStatus.BUNDLE_REFUSED, "a zip file"),
    "text": (lambda p, g: p.write_text("hello"), ExitStatus.BUNDLE_REFUSED, "not a bundle"),
    "cut short": (lambda p, g: p.write_bytes(g[:-1]), ExitStatus.BUNDLE_REFUSED, "instead of"),
    "half": (
        lambda p, g: p.write_bytes(g[: len(g) // 2]),
        ExitStatus.BUNDLE_REFUSED,
        "copy the bundle again",
    ),
    "with more": (lambda p, g: p.write_bytes(g + b"\n"), ExitStatus.BUNDLE_REFUSED, "1 bytes more"),
    "changed": (
        lambda p, g: p.write_bytes(flipped(g, len(g) - 1536)),
        ExitStatus.BUNDLE_REFUSED,
        "not what was",
    ),
    "unsigned": (
        lambda p, g: p.write_bytes(unsigned(g)),
        ExitStatus.BUNDLE_REFUSED,
        "the bundle is not signed",
    ),
}


# verify and inspect take a folder for an unpacked bundle: test_an_empty_folder_is_not_a_bundle
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (kind, command)
        for kind in BUNDLES
        for command in ("verify", "inspect", "unpack")
        if kind != "a folder" or command == "unpack"
    ],
)
def test_a_bundle_is_refused_that_is(
    kind: str, command: str, small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    make, status, text = BUNDLES[kind]
    path = tmp_path / "x.ewb"
    make(path, small.read_bytes())
    more = ["--out", tmp_path / "out"] if command == "unpack" else []
    outcome = edgeward("bundle", command, path, "--key", release.public, *more)
    check_line(outcome, status, text, str(path))
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_an_empty_folder_is_not_a_bundle(release: KeyPair, tmp_path: Path, edgeward: Edgeward) -> None:
    for command in ("verify", "inspect"):
        outcome = edgeward("bundle", command, tmp_path, "--key", release.public)
        check_line(outcome, ExitStatus.BUNDLE_REFUSED, "not signed")


def test_a_stranger_s_signature_is_refused(small: Path, stranger: KeyPair, edgeward: Edgeward) -> None:
    for command in ("verify", "inspect"):
        outcome = edgeward("bundle", command, small, "--key", stranger.public)
        check_line(outcome, ExitStatus.BUNDLE_REFUSED, "which is not trusted")


def other_key(make: Callable[[], Any], *, private: bool) -> bytes:
    key = make()
    if private:
        form = serialization.PrivateFormat.PKCS8
        return bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    form_ = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form_))


def rsa_key() -> Any:
    return rsa.generate_private_key(65537, 2048)


KEYS: dict[str, tuple[Callable[[KeyPair], bytes], str]] = {
    "empty": (lambda pair: b"", "the file is empty"),
    "text": (lambda pair: b"hello\n", "not a key file"),
    "a certificate": (lambda pair: b"-----BEGIN CERTIFICATE-----\n", "a certificate"),
    "the private key": (lambda pair: pair.private.read_bytes(), "give the public key"),
    "two keys": (lambda pair: pair.public.read_bytes() * 2, "more than one"),
    "damaged": (lambda pair: pair.public.read_bytes()[:60] + b"\n-----END PUBLIC KEY-----\n", "damaged"),
    "RSA": (lambda pair: other_key(rsa_key, private=False), "not a key on the curve"),
    "Ed25519": (
        lambda pair: other_key(ed25519.Ed25519PrivateKey.generate, private=False),
        "not a key on the curve",
    ),
    "huge": (lambda pair: bytes(1 << 20), "over 65536 bytes"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_trusted_key_is_refused_that_is(
    kind: str, small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    make, text = KEYS[kind]
    path = tmp_path / "x.pub"
    path.write_bytes(make(release))
    check_line(edgeward("bundle", "verify", small, "--key", path), ExitStatus.KEY, text, str(path))


@pytest.mark.parametrize(("make", "told"), [(as_folder, "no key in it"), (as_fifo, "not a file")])
def test_a_key_is_a_file_or_a_folder_of_keys(
    make: Callable[[Path, bytes], None], told: str, small: Path, tmp_path: Path, edgeward: Edgeward
) -> None:
    make(tmp_path / "x.pub", b"")
    outcome = edgeward("bundle", "verify", small, "--key", tmp_path / "x.pub")
    check_line(outcome, ExitStatus.KEY, told)


def test_a_missing_key_is_named(small: Path, tmp_path: Path, edgeward: Edgeward) -> None:
    outcome = edgeward("bundle", "verify", small, "--key", tmp_path / "x.pub")
    check_line(outcome, ExitStatus.KEY, "no such file", "x.pub")


def test_signing_needs_the_private_key(
    small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    bundle = tmp_path / "x.ewb"
    bundle.write_bytes(small.read_bytes())
    outcome = edgeward("bundle", "sign", bundle, "--key", release.public)
    check_line(outcome, ExitStatus.KEY, "give the private key")


def test_signing_refuses_a_key_with_a_passphrase(
    small: Path, release: KeyPair, tmp_path: Path, edgeward: Edgeward
) -> None:
    key = serialization.load_pem_private_key(release.private.read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    (tmp_path / "x.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
    outcome = edgeward("bundle", "sign", small, "--key", tmp_path / "x.key", "--out", tmp_path / "y")
    check_line(outcome, ExitStatus.KEY, "has a passphrase")


@pytest.mark.parametrize(
    "arguments", [("verify", "x.ewb"), ("sign", "x.ewb"), ("pack", "x"), ("unpak", "x"), ()]
)
def test_a_wrong_command_line_says_where_help_is(arguments: tuple[str, ...], edgeward: Edgeward) -> None:
    check_line(edgeward("bundle", *arguments), ExitStatus.USAGE, "--help")


def test_with_json_an_error_is_json(tmp_path: Path, release: KeyPair, edgeward: Edgeward) -> None:
    outcome = edgeward("bundle", "verify", tmp_path / "x.ewb", "--key", release.public, "--json")
    assert outcome.out == ""
    assert json.loads(outcome.err)["error"]["code"] == "bundle.missing"
