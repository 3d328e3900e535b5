"""What all tests share: where the real models and footage lie."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A shell ignores Ctrl-C for what it starts in the background, and programs under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real models and footage; a test that needs it is skipped where it is absent."""
    named = os.environ.get("EDGEWARD_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} is missing, and CI must not skip the tests on real footage")
        pytest.skip(f"real models and footage are not at {folder}; set EDGEWARD_TEST_DATA to their folder")
    return folder


class Signed:
    """A signed bundle, the public key that verifies it, and the model file in it."""

    def __init__(self, bundle: Path, key: Path, model: Path) -> None:
        self.bundle = bundle
        self.key = key
        self.model = model


def make_signed(folder: Path, author: Path, model: Path) -> Signed:
    """Pack and sign an author's folder with the real command."""
    from agent.cli.main import main  # noqa: PLC0415 - not every test needs the command

    bundle, key = folder / "model.ewb", folder / "release"
    assert main(["keys", "generate", "--out", str(key), "--json"]) == 0
    assert main(["bundle", "pack", str(author), "--out", str(bundle), "--json"]) == 0
    assert main(["bundle", "sign", str(bundle), "--key", f"{key}.key", "--json"]) == 0
    return Signed(bundle, Path(f"{key}.pub"), model)


@pytest.fixture(scope="session")
def yolox(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """yolox_nano as a signed bundle."""
    from bench.models import YOLOX  # noqa: PLC0415 - not every test needs it

    folder = tmp_path_factory.mktemp("yolox")
    author = folder / "author"
    author.mkdir()
    (author / "bundle.toml").write_text(YOLOX)
    model = author / "model.onnx"
    model.write_bytes((test_data / "models" / "yolox_nano.onnx").read_bytes())
    (author / "coco.names").write_bytes((test_data / "models" / "coco.names").read_bytes())
    return make_signed(folder, author, model)
