"""LiteRT's own promises, with either package: real models, delegates, what runs them, quantisation."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import engine
from runtime.bundle.manifest import InputSpec, Quantisation, TensorSpec
from runtime.engine import ModelFiles, tflite_file
from runtime.errors import Code, EdgewardError
from runtime.ipc import Delegate, EngineOptions
from tests.unit.engine import models
from tests.unit.engine.models import output, picture

pytestmark = pytest.mark.unit


def real(
    folder: Path,
    name: str,
    inputs: InputSpec | tuple[InputSpec, ...],
    outputs: tuple[TensorSpec, ...],
    **options: Any,
) -> engine.Engine:
    specs = inputs if isinstance(inputs, tuple) else (inputs,)
    entry = models.variant("litert", specs, outputs)
    files = ModelFiles((folder / "models" / name).read_bytes(), b"", "0" * 64)
    return engine.load(entry, files, EngineOptions(**options), where=name)


YOLOX_IN = picture("images", "float32", 1, 3, 416, 416)
YOLOX_OUT = (output("output", "float32", 1, 3549, 85),)
VWW = "vww_96_int8.tflite"
VWW_IN = picture("input_1_int8", "int8", "batch", 96, 96, 3)
VWW_OUT = (output("Identity_int8", "int8", "batch", 2),)


@pytest.mark.parametrize("names", [("images", "output"), ("serving_default_images:0", "PartitionedCall:0")])
def test_tensors_are_found_by_signature_or_by_their_own_names(
    test_data: Path, names: tuple[str, str]
) -> None:
    loaded = real(
        test_data,
        "yolox_nano_float16_quantize.tflite",
        picture(names[0], "float32", 1, 3, 416, 416),
        (output(names[1], "float32", 1, 3549, 85),),
    )
    assert [info.name for info in (*loaded.inputs, *loaded.outputs)] == list(names)
    binding = loaded.bind(1)
    binding.inputs[0].fill(114)
    binding.run()
    first = binding.outputs[0].copy()
    binding.run()
    np.testing.assert_array_equal(binding.outputs[0], first)
    assert np.isfinite(first).all()
    loaded.close()


def test_outputs_come_in_the_manifests_order(test_data: Path) -> None:
    """The post-processing of SSD has four outputs of one name, told apart by a number."""
    name = "TFLite_Detection_PostProcess"
    outputs = (
        output(f"{name}:3", "float32", 1),
        output(f"{name}:2", "float32", 1, 10),
        output(name, "float32", 1, 10, 4),
        output(f"{name}:1", "float32", 1, 10),
    )
    source = picture("normalized_input_image_tensor", "uint8", 1, 300, 300, 3)
    loaded = real(test_data, "ssd_mobilenet.tflite", source, outputs)
    binding = loaded.bind(1)
    binding.run()
    count, scores, boxes, classes = binding.outputs
    assert count.tolist() == [10]
    assert ((scores >= 0) & (scores <= 1)).all()
    assert boxes.shape == (1, 10, 4)
    assert (classes == classes.round()).all()
    loaded.close()


def test_pictures_at_once_get_the_answers_that_they_get_alone(test_data: Path) -> None:
    loaded = real(test_data, VWW, VWW_IN, VWW_OUT)
    one, three = loaded.bind(1), loaded.bind(3)
    pictures = np.random.default_rng(5).integers(-128, 128, (3, 96, 96, 3)).astype(np.int8)
    three.inputs[0][...] = pictures
    three.run()
    for each, together in zip(pictures, three.outputs[0], strict=True):
        one.inputs[0][0] = each
        one.run()
        np.testing.assert_array_equal(one.outputs[0][0], together)
    loaded.close()


def test_quantisation_is_the_models_where_the_manifest_has_none(test_data: Path) -> None:
    loaded = real(test_data, VWW, VWW_IN, VWW_OUT)
    quantisation = loaded.inputs[0].quantisation
    assert quantisation is not None
    assert quantisation.zero_point == -128
    assert quantisation.scale == pytest.approx(1 / 255)
    assert loaded.outputs[0].quantisation == Quantisation(scale=1 / 256, zero_point=-128)
    loaded.close()


@pytest.mark.parametrize("wrong", [{"scale": 1 / 255, "zero_point": 0}, {"scale": 0.004, "zero_point": -128}])
def test_quantisation_that_differs_is_a_mismatch(test_data: Path, wrong: dict[str, Any]) -> None:
    source = picture("input_1_int8", "int8", 1, 96, 96, 3, quantisation=Quantisation(**wrong))
    with pytest.raises(EdgewardError, match=r"quantisation of input 'input_1_int8'") as refused:
        real(test_data, VWW, source, (output("Identity_int8", "int8", 1, 2),))
    assert refused.value.code is Code.MODEL_MISMATCH


def test_an_operator_that_is_missing_is_told_with_its_name(test_data: Path) -> None:
    with pytest.raises(EdgewardError, match="fake-op-double") as refused:
        real(
            test_data,
            "model_invoking_error.tflite",
            picture("x", "uint8", 1, 3),
            (output("y", "uint8", 1, 3),),
        )
    assert refused.value.code is Code.MODEL_LOAD
    assert "custom operators" in refused.value.remedy


def test_what_really_runs_the_model_is_told(test_data: Path) -> None:
    xnnpack = real(test_data, "yolox_nano_float16_quantize.tflite", YOLOX_IN, YOLOX_OUT)
    assert xnnpack.provider.startswith("XNNPACK")
    xnnpack.close()
    own = real(test_data, "yolox_nano_float16_quantize.tflite", YOLOX_IN, YOLOX_OUT, provider="cpu")
    assert own.provider == "CPU"
    own.close()


def test_a_forced_xnnpack_that_can_run_no_part_is_an_error() -> None:
    """XNNPACK has no int64 and no positions of what is over zero."""
    case = models.tflite_found()
    loaded = engine.load(case.variant, case.files, EngineOptions(), where="tiny")
    assert loaded.provider == "CPU"
    loaded.close()
    with pytest.raises(EdgewardError, match="XNNPACK: it can run no part") as refused:
        engine.load(case.variant, case.files, EngineOptions(provider="xnnpack"), where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


@pytest.mark.parametrize("what", ["missing", "not a library", "not a delegate"])
def test_a_delegate_that_cannot_be_loaded_is_an_error_that_names_it(tmp_path: Path, what: str) -> None:
    path = tmp_path / "libnpu.so"
    if what == "not a library":
        path.write_bytes(b"no ELF")
    elif what == "not a delegate":
        path = Path("libm.so.6")
    case = models.tflite_affine()
    options = EngineOptions(delegates=(Delegate(path=str(path), options={"device": "usb"}),))
    with pytest.raises(EdgewardError, match=path.name) as refused:
        engine.load(case.variant, case.files, options, where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


DELEGATE = r"""
#include <cstdlib>
#include <cstring>
// The parts of TfLiteDelegate (tensorflow/lite/core/c/common.h) up to Prepare; the rest stays zero.
struct Delegate { void *data; int (*prepare)(void *context, Delegate *self); void *rest[16]; };
static int take_nothing(void *, Delegate *) { return 0; }
extern "C" Delegate *tflite_plugin_create_delegate(
    const char *const *keys, const char *const *values, size_t count, void (*report)(const char *)) {
  if (count != 1 || strcmp(keys[0], "device") != 0 || strcmp(values[0], "usb") != 0) {
    report("there is no such device");
    return nullptr;
  }
  auto *delegate = static_cast<Delegate *>(calloc(1, sizeof(Delegate)));
  delegate->prepare = take_nothing;
  return delegate;
}
extern "C" void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
"""


@pytest.fixture(scope="module")
def lazy_delegate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real delegate, compiled here, that takes no node of any model and wants the option device=usb."""
    compiler = shutil.which("g++")
    assert compiler, "script/bootstrap installs g++"
    folder = tmp_path_factory.mktemp("delegate")
    (folder / "lazy.cpp").write_text(DELEGATE)
    path = folder / "liblazy.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, folder / "lazy.cpp"], check=True, timeout=120)
    return path


def test_a_delegate_that_refuses_its_options_is_an_error_with_its_reason(lazy_delegate: Path) -> None:
    case = models.tflite_affine()
    options = EngineOptions(delegates=(Delegate(path=str(lazy_delegate), options={"device": "pci"}),))
    with pytest.raises(EdgewardError, match="liblazy") as refused:
        engine.load(case.variant, case.files, options, where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


def test_a_delegate_that_takes_no_part_of_the_model_is_an_error(lazy_delegate: Path) -> None:
    case = models.tflite_affine()
    options = EngineOptions(delegates=(Delegate(path=str(lazy_delegate), options={"device": "usb"}),))
    with pytest.raises(EdgewardError, match=r"liblazy\.so: it can run no part of this model") as refused:
        engine.load(case.variant, case.files, options, where="tiny")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE


def test_a_file_that_is_cut_anywhere_is_refused_and_ends_no_process() -> None:
    """The older LiteRT follows offsets out of the file."""
    case = models.tflite_two()
    model = case.files.model
    for length in range(len(model)):
        with pytest.raises(ValueError, match=r"cut short|no LiteRT file"):
            tflite_file.check(model[:length])
    tflite_file.check(model)


@pytest.mark.parametrize("name", ["yolox_nano_float16_quantize", "ssd_mobilenet", "vww_96_int8"])
def test_real_models_are_whole_and_their_halves_are_not(test_data: Path, name: str) -> None:
    model = (test_data / "models" / f"{name}.tflite").read_bytes()
    tflite_file.check(model)
    for part in (2, 3, 5):
        with pytest.raises(ValueError, match="cut short"):
            tflite_file.check(model[: len(model) * (part - 1) // part])


@pytest.mark.parametrize("provider", ["xnnpack", "cpu"])
def test_a_model_whose_memory_moves_while_it_runs_reads_and_answers_as_any_other(provider: str) -> None:
    """LiteRT moves the inputs too when the rest of the graph needs more than it had planned."""
    case = models.tflite_replanned()
    loaded = engine.load(case.variant, case.files, EngineOptions(providers=(provider,)), where="tiny")
    binding = loaded.bind(1)
    address = binding.inputs[0].ctypes.data
    draw = np.random.default_rng(5)
    for level in (2.0, -2.0, 0.0, 3.0, 0.5, -0.5):
        picture = (draw.normal(size=(1, 16, 16, 3)) + level).astype(np.float32)
        binding.inputs[0][...] = picture
        binding.run()
        for found, wanted in zip(binding.outputs, case.answer(picture), strict=True):
            np.testing.assert_array_equal(found, wanted)
        assert binding.inputs[0].ctypes.data == address
    loaded.close()
