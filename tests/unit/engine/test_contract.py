"""What every engine promises, on tiny models with known answers; the same tests for all of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from runtime import engine
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from tests.unit.engine import models
from tests.unit.engine.models import Case

pytestmark = pytest.mark.unit

FILLED = 7


def load(case: Case, **options: Any) -> engine.Engine:
    return engine.load(case.variant, case.files, EngineOptions(**options), where="tiny")


def fill(binding: engine.Binding, seed: int = FILLED) -> None:
    random = np.random.default_rng(seed)
    for buffer in binding.inputs:
        low = 0 if buffer.dtype == np.uint8 else -9
        buffer[...] = random.integers(low, 10, buffer.shape)


def run(case: Case, binding: engine.Binding, seed: int = FILLED) -> None:
    """Run and compare with the known answer."""
    fill(binding, seed)
    binding.run()
    expected = case.answer(*(buffer.copy() for buffer in binding.inputs))
    assert len(binding.outputs) == len(expected)
    for found, wanted in zip(binding.outputs, expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


Make = Callable[[], Case]
AFFINE: dict[str, Make] = {
    "onnxruntime": lambda: models.onnx_affine("onnxruntime"),
    "openvino": lambda: models.onnx_affine("openvino"),
    "litert": models.tflite_affine,
    "ncnn": models.ncnn_affine,
}
ALL: dict[str, Make] = {
    **{f"{name}-affine": make for name, make in AFFINE.items()},
    "onnxruntime-two": lambda: models.onnx_two("onnxruntime"),
    "openvino-two": lambda: models.onnx_two("openvino"),
    "litert-two": models.tflite_two,
    "ncnn-two": models.ncnn_two,
    "onnxruntime-float16": lambda: models.onnx_affine("onnxruntime", "float16"),
    "openvino-float16": lambda: models.onnx_affine("openvino", "float16"),
    "onnxruntime-int32": lambda: models.onnx_affine("onnxruntime", "int32"),
    "onnxruntime-int64": lambda: models.onnx_affine("onnxruntime", "int64"),
    "openvino-int32": lambda: models.onnx_affine("openvino", "int32"),
    "onnxruntime-uint8": lambda: models.onnx_quantised("onnxruntime", "uint8"),
    "onnxruntime-int8": lambda: models.onnx_quantised("onnxruntime", "int8"),
    "openvino-uint8": lambda: models.onnx_quantised("openvino", "uint8"),
    "openvino-int8": lambda: models.onnx_quantised("openvino", "int8"),
    "litert-uint8": lambda: models.tflite_quantised("uint8"),
    "litert-int8": lambda: models.tflite_quantised("int8"),
    "onnxruntime-found": lambda: models.onnx_found("onnxruntime"),
    "openvino-found": lambda: models.onnx_found("openvino"),
    "litert-found": models.tflite_found,
    "openvino-ir": models.openvino_ir,
    "ncnn-convolution": models.ncnn_convolution,
    "ncnn-convolution-odd": lambda: models.ncnn_convolution(5, 7),
}
HEAVY: dict[str, Make] = {
    "onnxruntime": lambda: models.onnx_heavy("onnxruntime"),
    "openvino": lambda: models.onnx_heavy("openvino"),
    "litert": models.tflite_heavy,
    "ncnn": models.ncnn_heavy,
}
BATCHED: dict[str, Make] = {
    "onnxruntime": lambda: models.onnx_affine("onnxruntime", shape=("batch", 2, 2, 3)),
    "openvino": lambda: models.onnx_affine("openvino", shape=("batch", 2, 2, 3)),
    "litert": lambda: models.tflite_affine(("batch", 2, 2, 3)),
}


def cases(which: dict[str, Make]) -> Any:
    return pytest.mark.parametrize("make", which.values(), ids=which.keys())


@cases(ALL)
def test_the_answer_is_right_and_stays_right_in_the_same_buffers(make: Make) -> None:
    case = make()
    loaded = load(case)
    try:
        binding = loaded.bind(1)
        assert loaded.bind(1) is binding
        sized = [at for at, spec in enumerate(case.variant.outputs) if "n" not in spec.shape]
        before = [(id(b), b.ctypes.data) for b in (*binding.inputs, *(binding.outputs[at] for at in sized))]
        for seed in range(20):
            run(case, binding, seed)
        after = [(id(b), b.ctypes.data) for b in (*binding.inputs, *(binding.outputs[at] for at in sized))]
        assert before == after
    finally:
        loaded.close()


@cases(ALL)
def test_inputs_are_left_as_they_were_filled(make: Make) -> None:
    """A ``feed = "value"`` input is filled once: what a model does inside must not change it."""
    case = make()
    loaded = load(case)
    binding = loaded.bind(1)
    fill(binding)
    kept = [buffer.copy() for buffer in binding.inputs]
    for _ in range(3):
        binding.run()
    for buffer, before in zip(binding.inputs, kept, strict=True):
        np.testing.assert_array_equal(buffer, before)
    loaded.close()


@cases(ALL)
def test_tensors_are_told_in_the_manifests_order(make: Make) -> None:
    case = make()
    loaded = load(case)
    assert [info.name for info in loaded.inputs] == [spec.name for spec in case.variant.inputs]
    assert [info.name for info in loaded.outputs] == [spec.name for spec in case.variant.outputs]
    assert loaded.provider
    loaded.close()


@cases(BATCHED)
def test_several_pictures_at_a_time_and_one_beside_them(make: Make) -> None:
    case = make()
    loaded = load(case)
    for batch in (1, 4, 2, 4, 1):
        binding = loaded.bind(batch)
        assert binding.inputs[0].shape == (batch, 2, 2, 3)
        run(case, binding)
    assert loaded.bind(4) is not loaded.bind(2)
    loaded.close()


@cases(AFFINE)
def test_a_batch_that_the_manifest_does_not_leave_open_is_refused(make: Make) -> None:
    loaded = load(make())
    with pytest.raises(EdgewardError) as refused:
        loaded.bind(2)
    assert refused.value.code is Code.MODEL_LOAD
    loaded.close()


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("inputs", {"name": "nobody"}),
    ("outputs", {"name": "nobody"}),
    ("inputs", {"dtype": "int32"}),
    ("outputs", {"dtype": "int32"}),
]


@cases(AFFINE)
@pytest.mark.parametrize(("side", "change"), WRONG, ids=lambda v: v if isinstance(v, str) else next(iter(v)))
def test_a_manifest_that_is_wrong_is_told_with_the_tensors_name(
    make: Make, side: str, change: dict[str, Any]
) -> None:
    case = make()
    first = getattr(case.variant, side)[0]
    changed = msgspec.structs.replace(first, **change)
    wrong = case._replace(variant=msgspec.structs.replace(case.variant, **{side: (changed,)}))
    with pytest.raises(EdgewardError, match=f"'{changed.name}'") as refused:
        load(wrong)
    assert refused.value.code is Code.MODEL_MISMATCH
    assert refused.value.where == "tiny"


# A file of ncnn does not tell shapes.
@cases({name: make for name, make in AFFINE.items() if name != "ncnn"})
@pytest.mark.parametrize("shape", [(1, 2, 2, 5), (1, 2)], ids=["size", "rank"])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_shape_that_is_wrong_is_told_with_the_tensors_name(
    make: Make, side: str, shape: tuple[int, ...]
) -> None:
    case = make()
    first = getattr(case.variant, side)[0]
    changed = msgspec.structs.replace(first, shape=shape)
    wrong = case._replace(variant=msgspec.structs.replace(case.variant, **{side: (changed,)}))
    with pytest.raises(EdgewardError, match=f"{side[:-1]} '{first.name}' is") as refused:
        load(wrong)
    assert refused.value.code is Code.MODEL_MISMATCH


@cases(AFFINE)
@pytest.mark.parametrize("harm", ["empty", "garbage", "cut"])
def test_a_broken_file_is_refused_with_a_remedy(make: Make, harm: str) -> None:
    case = make()
    model = case.files.model
    broken = {"empty": b"", "garbage": b"\x00\xff broken \xfe" * 50, "cut": model[: len(model) // 2]}[harm]
    with pytest.raises(EdgewardError) as refused:
        load(case._replace(files=case.files._replace(model=broken)))
    assert refused.value.code is Code.MODEL_LOAD
    assert refused.value.where == "tiny"
    assert refused.value.remedy


@cases(AFFINE)
def test_a_way_to_run_that_is_not_here_is_an_error_that_names_those_that_are(make: Make) -> None:
    case = make()
    with pytest.raises(EdgewardError, match=r"nonesuch.*cpu") as refused:
        load(case, provider="nonesuch")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE
    with pytest.raises(EdgewardError, match="nonesuch") as refused:
        load(case, providers=("nonesuch",))
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


@cases(AFFINE)
def test_the_first_that_is_here_of_those_preferred_is_taken_and_told(make: Make) -> None:
    loaded = load(make(), providers=("nonesuch", "CPU"))
    assert loaded.provider.startswith("CPU")
    loaded.close()


@cases(AFFINE)
def test_the_thread_that_runs_a_model_is_moved_to_the_cpus_of_the_profile(make: Make) -> None:
    own = os.sched_getaffinity(0)
    cpu = max(own)
    case = make()
    loaded = load(case, threads=2, affinity=(cpu,))
    assert os.sched_getaffinity(0) == own, "the thread that loads goes on where it was"
    seen: list[set[int]] = []

    def infer() -> None:
        run(case, loaded.bind(1))
        seen.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=infer)
    thread.start()
    thread.join()
    assert seen == [{cpu}]
    loaded.close()


@cases(HEAVY)
def test_a_closed_engine_gives_its_memory_back(make: Make) -> None:
    """Of 4 MB of weights, thirty times."""
    case = make()

    def once() -> None:
        loaded = load(case)
        run(case, loaded.bind(1))
        loaded.close()

    for _ in range(8):
        once()
    before = models.resident()
    for _ in range(30):
        once()
    assert models.resident() - before < 24 << 20
