"""What engines share: CPUs for their threads, the cache, which way is preferred."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runtime import engine
from runtime.engine import affinity, cache, package
from runtime.engine.preference import wanted
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from tests.unit.engine import models

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).parents[3]


def test_cpus_that_are_not_here_are_an_error_that_names_those_that_are() -> None:
    with pytest.raises(EdgewardError, match="CPUs 4095; this process may use") as refused:
        affinity.Home((4095,)).enter()
    assert refused.value.code is Code.CONFIG_VALUE
    before = os.sched_getaffinity(0)
    with pytest.raises(EdgewardError), affinity.held((4095,)):
        pytest.fail("must not be entered")
    assert os.sched_getaffinity(0) == before


def test_without_an_affinity_no_thread_is_moved() -> None:
    before = os.sched_getaffinity(0)
    assert affinity.home(()) is None
    with affinity.held(()):
        assert os.sched_getaffinity(0) == before


def test_each_model_runs_on_its_own_cpus_and_the_caller_gets_its_own_back() -> None:
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one CPU")
    one, other, *_ = sorted(before)
    homes = affinity.Home((one,)), affinity.Home((other,))
    with affinity.returned():
        for _ in range(2):
            for home, cpu in zip(homes, (one, other), strict=True):
                home.enter()
                assert os.sched_getaffinity(0) == {cpu}
    assert os.sched_getaffinity(0) == before


def test_nothing_is_cached_without_a_folder() -> None:
    assert cache.folder("", "engine", "digest") is None


def test_a_cache_is_of_one_engine_model_device_and_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "cache")
    first = cache.folder(root, "tensorrt", "a" * 64)
    assert first is not None
    assert first.is_dir()
    assert first.stat().st_mode & 0o777 == 0o700
    assert cache.folder(root, "tensorrt", "a" * 64) == first
    others = [cache.folder(root, "tensorrt", "b" * 64), cache.folder(root, "openvino", "a" * 64)]
    monkeypatch.setattr(cache, "device", lambda: "another driver")
    others.append(cache.folder(root, "tensorrt", "a" * 64))
    assert len({first, *others}) == 4


def test_a_cache_is_made_for_its_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        found = cache.folder(str(tmp_path / "var" / "cache"), "tensorrt", "a" * 64)
    finally:
        os.umask(before)
    assert found is not None
    while found != tmp_path:
        assert found.stat().st_mode & 0o777 == 0o700
        found = found.parent


def test_a_cache_is_used_by_the_way_that_was_checked(tmp_path: Path) -> None:
    """A link on the way may be another user's, who leads it elsewhere once it was looked at."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    found = cache.folder(str(tmp_path / "link"), "tensorrt", "a" * 64)
    assert found is not None
    assert found.is_relative_to(tmp_path / "real")


def test_a_cache_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """What lies in it is run unverified."""
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(EdgewardError, match="other users may write here") as refused:
        cache.folder(str(root), "tensorrt", "a" * 64)
    assert refused.value.code is Code.CONFIG_VALUE
    assert refused.value.where == str(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_cache_of_another_user_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 12345, -1)
        with pytest.raises(EdgewardError, match="other users may write here"):
            cache.folder(folder, "tensorrt", "a" * 64)


def test_a_cache_that_cannot_be_made_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgewardError, match="file/tensorrt"):
        cache.folder(str(tmp_path / "file"), "tensorrt", "a" * 64)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (EngineOptions(), ["GPU", "CPU"]),
        (EngineOptions(providers=("npu", "cpu", "gpu")), ["CPU", "GPU"]),
        (EngineOptions(providers=("gpu",), provider="cpu"), ["CPU"]),
    ],
)
def test_forced_before_preferred_before_the_engines_best(options: EngineOptions, expected: list[str]) -> None:
    assert wanted(options, ("CPU", "GPU"), ("GPU", "CPU"), where="tiny") == expected


@pytest.mark.parametrize(
    ("name", "vendors"), [("rknn", "rknn-toolkit-lite2"), ("tensorrt", "tensorrt cuda-python")]
)
def test_an_engine_whose_package_is_missing_says_what_to_install(name: str, vendors: str) -> None:
    tensors = (models.picture("x", "float32", 1),), (models.output("y", "float32", 1),)
    entry = models.variant(name, *tensors)
    assert f"pip install {vendors}" in engine.missing(entry)
    with pytest.raises(EdgewardError, match=vendors) as refused:
        engine.load(entry, models.files(b""), EngineOptions(), where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


def test_a_package_that_is_there_and_broken_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "npu_of_acme.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(package.MissingError, match=r"installed and cannot be imported: .*that_nobody_has"):
        package.find("npu_of_acme", install="pip install acme")
    assert package.find("json", install="").__name__ == "json"


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_engine_that_is_imported_tells_its_maker_nothing(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    code = f"from runtime.engine import package; package.find({name!r}, install='')"
    environment = os.environ | {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    # Names of a device and of sessions, and what is to be sent, are kept in files.
    assert not list(tmp_path.iterdir())
