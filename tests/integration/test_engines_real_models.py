"""Real models: engines agree with each other, and with what the models' authors say of known pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime import engine
from runtime.bundle.manifest import InputSpec, TensorSpec
from runtime.engine import ModelFiles
from runtime.ipc import EngineOptions
from tests.unit.engine import models
from tests.unit.engine.models import output, picture

pytestmark = [pytest.mark.integration, pytest.mark.command]

Array = npt.NDArray[Any]


def infer(folder: Path, name: str, kind: str, spec: InputSpec, out: TensorSpec, image: Array) -> Array:
    """The answer to one picture, as float32."""
    entry = models.variant(kind, (spec,), (out,))
    files = ModelFiles((folder / "models" / name).read_bytes(), b"", "0" * 64)
    loaded = engine.load(entry, files, EngineOptions(), where=name)
    binding = loaded.bind(1)
    binding.inputs[0][...] = image
    binding.run()
    answer = binding.outputs[0].astype(np.float32)
    quantisation = loaded.outputs[0].quantisation
    loaded.close()
    if quantisation is not None:
        answer = (answer - quantisation.zero_point) * np.float32(quantisation.scale)
    return answer


def square(folder: Path, name: str, size: int) -> Array:
    image = cv2.imread(str(folder / "images" / name))
    assert image is not None
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA))


def test_three_engines_see_the_same_in_one_picture(test_data: Path) -> None:
    image = square(test_data, "kitten_224.png", 416).transpose(2, 0, 1)[None]
    spec, out = picture("images", "float32", 1, 3, 416, 416), output("output", "float32", 1, 3549, 85)
    reference = infer(test_data, "yolox_nano.onnx", "onnxruntime", spec, out, image)
    openvino = infer(test_data, "yolox_nano.onnx", "openvino", spec, out, image)
    litert = infer(test_data, "yolox_nano_float16_quantize.tflite", "litert", spec, out, image)
    np.testing.assert_allclose(openvino, reference, atol=2e-3)
    # This one's weights are float16: its scores are known to agree to about 0.02.
    scores = [each[..., 4:5] * each[..., 5:] for each in (litert, reference)]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)
    assert scores[0].argmax() == scores[1].argmax()


def test_float16_in_and_out_names_the_kitten(test_data: Path) -> None:
    image = square(test_data, "kitten_224.png", 224).transpose(2, 0, 1)[None]
    spec = picture("data_0", "float16", 1, 3, 224, 224)
    out = output("softmaxout_1", "float16", 1, 1000, 1, 1)
    for kind in ("onnxruntime", "openvino"):
        answer = infer(test_data, "SqueezeNet_fp16.onnx", kind, spec, out, image).reshape(-1)
        assert answer.argmax() in {281, 282, 285}, f"{kind}: a tabby, tiger or Egyptian cat"
        assert answer.sum() == pytest.approx(1, abs=0.01)


def test_quantised_in_and_out_names_the_kitten(test_data: Path) -> None:
    image = square(test_data, "kitten_224.png", 224)[None, ..., ::-1]
    spec = picture("input", "uint8", 1, 224, 224, 3)
    out = output("MobilenetV2/Predictions/Softmax", "uint8", 1, 1001)
    answer = infer(test_data, "mobilenet_v2_1.0_224_quant.tflite", "litert", spec, out, image)
    labels = (test_data / "models" / "imagenet_labels.txt").read_text().splitlines()
    assert "tabby" in labels[int(answer.argmax())]
    assert answer.max() > 0.5
