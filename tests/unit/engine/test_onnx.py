"""onnxruntime's own promises: the provider that is told is the one that runs, threads, dynamic shapes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime import engine
from runtime.engine import ModelFiles
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from tests.conftest import ROOT
from tests.unit.engine import models
from tests.unit.engine.models import output, picture

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["cpu", "CPU", "CPUExecutionProvider", "cpuexecutionprovider"])
def test_a_provider_is_known_by_its_short_and_its_full_name(name: str) -> None:
    case = models.onnx_affine("onnxruntime")
    loaded = engine.load(case.variant, case.files, EngineOptions(provider=name), where="tiny")
    assert loaded.provider == "CPUExecutionProvider"
    loaded.close()


def test_a_forced_provider_that_this_build_lacks_is_an_error_with_those_that_it_has() -> None:
    case = models.onnx_affine("onnxruntime")
    with pytest.raises(EdgewardError, match=r"qnn: not here; here are: .*cpu") as refused:
        engine.load(case.variant, case.files, EngineOptions(provider="qnn"), where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


def test_a_forced_provider_that_leaves_all_to_the_cpu_is_an_error() -> None:
    """Azure is in every build and runs only operators of its own: onnxruntime itself would say nothing."""
    case = models.onnx_affine("onnxruntime")
    with pytest.raises(EdgewardError, match=r"Azure.*it can run no part of this model") as refused:
        engine.load(case.variant, case.files, EngineOptions(provider="azure"), where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


def test_a_preferred_provider_that_leaves_all_to_the_cpu_is_passed_over() -> None:
    case = models.onnx_affine("onnxruntime")
    options = EngineOptions(providers=("tensorrt", "azure", "cpu"))
    loaded = engine.load(case.variant, case.files, options, where="tiny")
    assert loaded.provider == "CPUExecutionProvider"
    loaded.close()


def test_a_provider_that_sends_pictures_away_is_never_taken_unasked() -> None:
    found = engine.backend("onnxruntime")
    assert found is not None
    assert "AzureExecutionProvider" in found.capabilities().providers
    case = models.onnx_affine("onnxruntime")
    loaded = engine.load(case.variant, case.files, EngineOptions(), where="tiny")
    assert "Azure" not in loaded.provider
    loaded.close()


@pytest.mark.parametrize(("height", "width"), [(320, 320), (192, 256)])
def test_one_dynamic_model_runs_at_the_size_of_its_manifest(test_data: Path, height: int, width: int) -> None:
    outputs = (
        output("cls_8", "float32", "batch", "cells", 1),
        output("bbox_32", "float32", "batch", height * width // 32**2, 4),
    )
    entry = models.variant(
        "onnxruntime",
        (picture("input", "float32", "batch", 3, "height", "width"),),
        outputs,
        dimensions={"height": height, "width": width},
    )
    model = (test_data / "models" / "yunet_n_dynamic.onnx").read_bytes()
    loaded = engine.load(entry, ModelFiles(model, b"", "0" * 64), EngineOptions(), where="yunet")
    for batch in (1, 2):
        binding = loaded.bind(batch)
        binding.inputs[0][...] = np.random.default_rng(1).integers(0, 256, binding.inputs[0].shape[1:])
        binding.run()
        cells, boxes = binding.outputs
        assert cells.shape == (batch, height * width // 64, 1)
        assert boxes.shape == (batch, height * width // 1024, 4)
        np.testing.assert_allclose(cells[0], cells[-1], atol=1e-5)
    loaded.close()


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
def test_weights_beside_the_model_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    """They were not hashed with it."""
    shape = (1, 64, 64, 3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(np.full(shape, 2, np.float32).tobytes())
    model = onnx.load_from_string(models.onnx_affine(name, shape=shape).files.model)
    two = onnx.numpy_helper.from_array(np.full(shape, 2, np.float32), "two")
    onnx.external_data_helper.set_external_data(two, "weights.bin")
    two.ClearField("raw_data")
    two.data_location = onnx.TensorProto.EXTERNAL
    del model.graph.initializer[0]
    if place == "initializer":
        model.graph.initializer.append(two)
    else:
        constant = onnx.helper.make_node("Constant", [], ["two"], value=two)
        branch = onnx.helper.make_graph(
            [constant], "branch", [], [onnx.helper.make_tensor_value_info("two", 1, shape)]
        )
        yes = onnx.numpy_helper.from_array(np.array(True), "yes")
        model.graph.initializer.append(yes)
        choice = onnx.helper.make_node("If", ["yes"], ["two"], then_branch=branch, else_branch=branch)
        model.graph.node.insert(0, constant if place == "constant" else choice)
    entry = models.onnx_affine(name, shape=shape).variant
    with pytest.raises(EdgewardError) as refused:
        engine.load(entry, models.files(model.SerializeToString()), EngineOptions(), where="tiny")
    assert refused.value.code is Code.MODEL_LOAD


# In a process of their own: what other tests started may end, or start a thread, at any moment.
LOADING = """
import os, sys
from runtime import engine
from runtime.ipc import EngineOptions
from tests.conftest import ROOT
from tests.unit.engine import models
def tasks():
    return {int(name) for name in os.listdir("/proc/self/task")}
threads, *cpus = map(int, sys.argv[1:])
case = models.onnx_affine("onnxruntime")
import onnxruntime
before = tasks()
options = EngineOptions(threads=threads, affinity=tuple(cpus))
loaded = engine.load(case.variant, case.files, options, where="tiny")
loaded.bind(1).run()
print(*(sorted(os.sched_getaffinity(task)) for task in tasks() - before), sep="\\n")
"""


def cpus_of_new_threads(threads: int, *cpus: int) -> list[str]:
    """The CPUs of each thread that loading and running a model starts."""
    command = [sys.executable, "-c", LOADING, str(threads), *map(str, cpus)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")[
        :-1
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_engine_has_as_many_threads_as_the_profile_says(threads: int) -> None:
    # One of them is the thread that calls.
    assert len([line for line in cpus_of_new_threads(threads) if line]) == threads - 1


def test_the_threads_that_an_engine_starts_run_on_the_cpus_of_the_profile() -> None:
    cpu = max(os.sched_getaffinity(0))
    assert cpus_of_new_threads(3, cpu) == [f"[{cpu}]"] * 2


def test_memory_of_a_batch_that_is_given_back_is_free_again() -> None:
    """Measuring what a batch gains must not cost a small board its memory for good."""
    shape = ("batch", 3, 512, 512)
    nodes = [("Exp", ["images"], ["a"], {}), ("Neg", ["a"], ["b"], {}), ("MatMul", ["b", "b"], ["c"], {})]
    nodes += [("GlobalAveragePool", ["c"], ["output"], {})]
    tensors = [("images", "float32", shape)], [("output", "float32", ("batch", 3, 1, 1))]
    model = models.onnx_model(nodes, *tensors, {})
    program = f"""
import psutil
from runtime.bundle.manifest import InputSpec, TensorSpec, Variant
from runtime.engine import ModelFiles, onnx
from runtime.ipc import EngineOptions
variant = Variant(
    id="v", engine="onnxruntime", file="m.onnx",
    inputs=(InputSpec(name="images", dtype="float32", shape={shape!r}),),
    outputs=(TensorSpec(name="output", dtype="float32", shape=("batch", 3, 1, 1)),),
)
files = ModelFiles({model!r}, b"", "0" * 64)
engine = onnx.load(variant, files, EngineOptions(), where="m")
def used():
    return psutil.Process().memory_info().rss / 1e6
engine.bind(1).run()
before = used()
engine.bind(16).run()
most = used()
engine.release(16)
engine.bind(1).run()
print(before, most, used())
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    before, most, after = map(float, done.stdout.split())
    assert most > before + 100
    assert after < before + 20
