"""Another package adds an engine by an entry point, and edgeward knows nothing of it beforehand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from runtime import engine
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from tests.conftest import ROOT
from tests.unit.engine import models

pytestmark = pytest.mark.unit

EXAMPLE = ROOT / "docs" / "guide" / "engines.md"


def install(folder: Path, package: str, entry: str, code: str) -> None:
    """Files as pip leaves them behind."""
    (folder / f"{package}.py").write_text(code)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[edgeward.engines]\n{entry} = {package}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [path.stem for path in tmp_path.glob("*.py")]:
        sys.modules.pop(name, None)


def example() -> str:
    """The module that the guide shows."""
    text = EXAMPLE.read_text()
    start = text.index("```python\n") + len("```python\n")
    return text[start : text.index("```", start)]


def test_the_engine_of_the_guide_is_found_loaded_and_run(site: Path) -> None:
    install(site, "acme_edgeward", "acme-npu", example())
    shape = (1, 2, 2, 3)
    entry = models.variant(
        "acme-npu",
        (models.picture("x", "float32", *shape),),
        (models.output("y", "float32", *shape),),
    )
    assert engine.missing(entry) == ""
    loaded = engine.load(entry, models.files(b"gain 3.0"), EngineOptions(), where="tiny")
    binding = loaded.bind(1)
    assert loaded.bind(1) is binding
    binding.inputs[0].fill(2.0)
    binding.run()
    np.testing.assert_array_equal(binding.outputs[0], np.full(shape, 6.0))
    assert loaded.provider == "ACME NPU"
    loaded.close()
    with pytest.raises(EdgewardError) as refused:
        engine.load(entry, models.files(b"garbage"), EngineOptions(), where="tiny")
    assert refused.value.code is Code.MODEL_LOAD


def test_an_engine_that_cannot_be_imported_is_an_error_that_names_its_package(site: Path) -> None:
    install(
        site, "broken_vendor", "broken-npu", "raise OSError('libnpu.so: cannot open shared object file')\n"
    )
    with pytest.raises(EdgewardError, match=r"'broken_vendor' cannot be imported: libnpu\.so") as refused:
        engine.backend("broken-npu")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE
    entry = models.onnx_affine("onnxruntime").variant
    broken = models.variant("broken-npu", entry.inputs, entry.outputs)
    assert "broken_vendor" in engine.missing(broken)


def test_a_package_cannot_take_the_name_of_an_engine_of_edgewards(site: Path) -> None:
    install(site, "impostor", "onnxruntime", "raise AssertionError('loaded')\n")
    assert engine.backend("onnxruntime") is not None


def test_an_engine_that_nothing_gives_is_an_error_that_lists_those_installed() -> None:
    entry = models.onnx_affine("onnxruntime").variant
    unknown = models.variant("nonesuch", entry.inputs, entry.outputs)
    assert "installed are litert, ncnn, onnxruntime" in engine.missing(unknown)
    with pytest.raises(EdgewardError) as refused:
        engine.load(unknown, models.files(b""), EngineOptions(), where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


CLUMSY = """
from runtime.engine import Capabilities

def capabilities():
    {asked}

def load(variant, files, options, *, where):
    {loaded}
"""


@pytest.mark.parametrize("raises", ["KeyError('x')", "SystemExit(3)", "MemoryError()", "OSError(5, 'bus')"])
def test_whatever_an_engine_raises_when_it_loads_is_told_as_an_error(site: Path, raises: str) -> None:
    install(
        site, "clumsy", "clumsy", CLUMSY.format(asked="return Capabilities(True)", loaded=f"raise {raises}")
    )
    entry = models.variant(
        "clumsy", (models.picture("x", "float32", 1),), (models.output("y", "float32", 1),)
    )
    with pytest.raises(EdgewardError, match=rf"the engine failed \({raises.partition('(')[0]}\)") as refused:
        engine.load(entry, models.files(b""), EngineOptions(), where="tiny")
    assert refused.value.code is Code.MODEL_LOAD


def test_an_engine_that_fails_when_it_is_asked_is_not_available_and_says_why(site: Path) -> None:
    install(site, "moody", "moody", CLUMSY.format(asked="raise KeyError('libnpu')", loaded="pass"))
    entry = models.variant("moody", (models.picture("x", "float32", 1),), (models.output("y", "float32", 1),))
    assert "asking it failed: 'libnpu'" in engine.missing(entry)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("version='1.17.3'", ""),
        ("version='npu-runtime 1.18-dev'", ""),
        ("version='2.0.0'", "needs the engine 'dated' >=1.17,<2, this is 2.0.0"),
        ("version=''", "needs the engine 'dated' >=1.17,<2, this one does not say its version"),
    ],
)
def test_a_variant_runs_on_the_versions_of_an_engine_that_it_is_for(
    said: str, reason: str, site: Path
) -> None:
    install(site, "dated", "dated", CLUMSY.format(asked=f"return Capabilities(True, {said})", loaded="pass"))
    entry = models.variant("dated", (models.picture("x", "float32", 1),), (models.output("y", "float32", 1),))
    assert engine.missing(replace(entry, engine_version=">=1.17,<2")) == reason
    assert engine.missing(entry) == ""


def test_an_engine_that_does_not_say_what_runs_is_refused(site: Path) -> None:
    code = CLUMSY.format(asked="return Capabilities(True)", loaded="return object()")
    install(site, "silent", "silent", code)
    entry = models.variant(
        "silent", (models.picture("x", "float32", 1),), (models.output("y", "float32", 1),)
    )
    with pytest.raises(EdgewardError, match="provider") as refused:
        engine.load(entry, models.files(b""), EngineOptions(), where="tiny")
    assert refused.value.code is Code.MODEL_LOAD


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ("rk3588", ""),
        ("rk3566", "is for devices of the profile 'rk3588', 'orin', this is 'rk3566'"),
        ("", "is for devices of the profile 'rk3588', 'orin', this device names none"),
    ],
)
def test_a_variant_that_is_limited_to_profiles_runs_on_these_only(profile: str, reason: str) -> None:
    entry = models.onnx_affine("onnxruntime").variant
    assert engine.missing(replace(entry, profiles=("rk3588", "orin")), profile) == reason
    assert engine.missing(entry, profile) == ""
