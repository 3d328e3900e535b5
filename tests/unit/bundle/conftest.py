"""A small author's folder, keys, and a small signed bundle."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli.main import main
from runtime.bundle import signature
from runtime.bundle.container import Writer
from runtime.bundle.keys import generate, load_private, private_pem, public_pem
from runtime.bundle.pack import pack
from runtime.bundle.sign import sign_bundle
from runtime.errors import ExitStatus

TOML = """\
[bundle]
name = "gate"
version = "1.2.3"
release_counter = 7
labels = ["person", "car"]
description = "Counts at the gate"
license = "Apache-2.0"

[[variant]]
id = "cpu"
engine = "onnxruntime"
file = "model.onnx"

[[variant.input]]
name = "images"
dtype = "float32"
shape = [1, 3, 32, 32]

[[variant.output]]
name = "output"
dtype = "float32"
shape = [1, "boxes", 7]

[[file]]
path = "docs/NOTES.txt"
role = "doc"

[preprocess]
fit = "letterbox_topleft"
order = "bgr"

[postprocess]
decoder = "yolox"
"""


@dataclass(frozen=True)
class KeyPair:
    private: Path
    public: Path


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_author(folder: Path, *, model: bytes, toml: str = TOML) -> Path:
    (folder / "docs").mkdir(parents=True)
    (folder / "bundle.toml").write_text(toml)
    (folder / "model.onnx").write_bytes(model)
    (folder / "docs" / "NOTES.txt").write_text("trained on the gate's camera\n")
    return folder


@pytest.fixture
def author(tmp_path: Path) -> Path:
    """A folder whose model has two whole blocks and a bit."""
    return make_author(tmp_path / "author", model=random.Random(1).randbytes(70_000))  # noqa: S311


@pytest.fixture(scope="session")
def make_keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], KeyPair]:
    folder = tmp_path_factory.mktemp("keys")

    def make(name: str) -> KeyPair:
        key = generate()
        pair = KeyPair(folder / f"{name}.key", folder / f"{name}.pub")
        pair.private.write_bytes(private_pem(key))
        pair.private.chmod(0o600)
        pair.public.write_bytes(public_pem(key.public_key()))
        return pair

    return make


@pytest.fixture(scope="session")
def release(make_keys: Callable[[str], KeyPair]) -> KeyPair:
    return make_keys("release")


@pytest.fixture(scope="session")
def stranger(make_keys: Callable[[str], KeyPair]) -> KeyPair:
    return make_keys("stranger")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, release: KeyPair) -> Path:
    """A signed bundle of a few kilobytes. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("small")
    bundle = folder / "gate.ewb"
    pack(make_author(folder / "author", model=b"a model of no use"), bundle)
    sign_bundle(bundle, load_private(release.private))
    return bundle


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def edgeward(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Outcome:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


def check_line(outcome: Outcome, status: ExitStatus, *parts: str) -> None:
    """One line with what, where and what to do, nothing else, and the documented status."""
    assert outcome.status == status, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("edgeward: ")
    assert "; " in outcome.err, "no remedy"
    assert outcome.err.rstrip("\n").isprintable(), "it could steer a terminal"
    for part in parts:
        assert part in outcome.err


def sealed(
    path: Path,
    manifest: bytes,
    files: dict[str, bytes],
    key: KeyPair,
    *,
    signed: dict[str, str] | None = None,
) -> Path:
    """A bundle with any manifest and any files, well signed: what a careless or evil author could make."""
    resources = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    resources |= {"manifest.json": hashlib.sha256(manifest).hexdigest()} | (signed or {})
    sig = signature.sign(resources, name="gate", key=load_private(key.private))
    with path.open("wb") as stream:
        writer = Writer(stream)
        for name, data in [("model.sig", sig), ("manifest.json", manifest), *files.items()]:
            writer.add(name, len(data), (data,))
        writer.finish()
    return path
