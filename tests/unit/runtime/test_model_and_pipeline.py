"""What is hashed is what is loaded, and what a model says is never mistaken for "nothing seen"."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime import model
from runtime.errors import Code, EdgewardError
from runtime.inference import Inference
from runtime.ipc import EngineOptions, Result
from runtime.pipeline import Pipeline
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock

pytestmark = pytest.mark.unit

ROWS = 21  # a 32x32 input: 4x4 + 2x2 + 1 cells


def constant_model(output: np.ndarray) -> bytes:
    """An ONNX model that looks at its input and says ``output``."""
    nodes = [
        helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "answer"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, ROWS, 6])],
        [numpy_helper.from_array(np.float32(0), "zero"), numpy_helper.from_array(output, "answer")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return bytes(onnx.ModelProto.SerializeToString(made))


def folder_with(tmp_path: Path, data: bytes, **changes: object) -> tuple[Path, str]:
    """A bundle folder as the verifier leaves it, and its manifest's digest."""
    (tmp_path / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    manifest = {
        "schema": 1,
        "name": "constant",
        "version": "1.0.0",
        "release_counter": 1,
        "task": "detection",
        "labels": ["thing"],
        "files": [
            {"path": "model.onnx", "size": len(data), "sha256": digest, "role": "model", "blocks": [digest]},
        ],
        "variants": [
            {
                "id": "onnx",
                "engine": "onnxruntime",
                "file": "model.onnx",
                "inputs": [{"name": "images", "dtype": "float32", "shape": [1, 3, 32, 32]}],
                "outputs": [{"name": "output", "dtype": "float32", "shape": [1, ROWS, 6]}],
            }
        ],
        "preprocess": {},
        "postprocess": {"decoder": "yolox", "score_threshold": 0.5},
    } | changes
    text = json.dumps(manifest).encode()
    (tmp_path / "manifest.json").write_bytes(text)
    return tmp_path, hashlib.sha256(text).hexdigest()


def grey(width: int = 64, height: int = 64) -> Frame:
    size = width * height
    return Frame(
        picture=Picture("i420", width, height, "bt601", full_range=False),
        planes=(bytes([90]) * size, bytes([128]) * (size // 4), bytes([128]) * (size // 4)),
        strides=(width, width // 2, width // 2),
        index=5,
        session=2,
        pts_s=1.5,
        arrived_ns=7,
    )


def head(**row: list[float]) -> np.ndarray:
    output = np.zeros((1, ROWS, 6), np.float32)
    for number, values in row.items():
        output[0, int(number[1:])] = values
    return output


def pipeline_of(tmp_path: Path, output: np.ndarray, **changes: object) -> Pipeline:
    loaded = model.load(*folder_with(tmp_path, constant_model(output), **changes), EngineOptions())
    clock = StageClock()
    return Pipeline(Inference(loaded, clock), clock)


def one_result(pipeline: Pipeline, frame: Frame) -> Result:
    (result,) = pipeline.process([("cam", frame)])
    return result


def test_a_detection_comes_out_in_the_pixels_of_the_picture(tmp_path: Path) -> None:
    # Cell (1, 1) of stride 8: centre (12, 12), size e^0 * 8 = 8 tensor pixels; the picture is twice as large.
    pipeline = pipeline_of(tmp_path, head(r5=[0.5, 0.5, 0, 0, 0.9, 1.0]))
    result = one_result(pipeline, grey())
    assert (result.status, result.stream, result.frame, result.session, result.pts_s) == (
        "detections",
        "cam",
        5,
        2,
        1.5,
    )
    (found,) = result.detections
    assert found.label == "thing"
    assert found.score == pytest.approx(0.9)
    assert found.box == pytest.approx((16, 16, 32, 32))


def test_nothing_seen_is_a_result_with_no_detections(tmp_path: Path) -> None:
    result = one_result(pipeline_of(tmp_path, head()), grey())
    assert (result.status, result.detections, result.why) == ("detections", (), "")


def test_a_model_that_gives_no_numbers_has_failed_and_not_seen_nothing(tmp_path: Path) -> None:
    output = np.full((1, ROWS, 6), np.nan, np.float32)
    pipeline = pipeline_of(tmp_path, output)
    result = one_result(pipeline, grey())
    assert result.status == "failed"
    assert "not numbers" in result.why
    assert Code.MODEL_RUN.text in result.why
    with pytest.raises(EdgewardError) as caught:
        pipeline.warm_up()
    assert caught.value.code is Code.MODEL_RUN


def test_a_model_that_divides_by_the_spread_of_a_picture_warms_up(tmp_path: Path) -> None:
    """It gives no numbers for an even grey, which no camera shows for long."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["images", "mean"], ["off"]),
        helper.make_node("ReduceMax", ["off"], ["spread"], keepdims=0),
        helper.make_node("Div", ["off", "spread"], ["even"]),
        helper.make_node("ReduceMax", ["even"], ["most"], keepdims=0),
        helper.make_node("Mul", ["answer", "most"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "spread",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, ROWS, 6])],
        [numpy_helper.from_array(head(), "answer")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = folder_with(tmp_path, bytes(made.SerializeToString()))
    clock = StageClock()
    pipeline = Pipeline(Inference(model.load(*folder, EngineOptions()), clock), clock)
    pipeline.warm_up()
    assert one_result(pipeline, grey()).status == "failed"


def test_a_file_that_changed_after_it_was_verified_is_not_loaded(tmp_path: Path) -> None:
    folder, digest = folder_with(tmp_path, constant_model(head()))
    data = bytearray((folder / "model.onnx").read_bytes())
    data[100] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(
        EdgewardError, match=r"model\.onnx: the file is not the one that was signed"
    ) as caught:
        model.load(folder, digest, EngineOptions())
    assert caught.value.code is Code.BUNDLE_DIGEST


def test_a_manifest_that_changed_after_it_was_verified_is_not_read(tmp_path: Path) -> None:
    folder, digest = folder_with(tmp_path, constant_model(head()))
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text().replace("thing", "think"))
    with pytest.raises(EdgewardError) as caught:
        model.load(folder, digest, EngineOptions())
    assert caught.value.code is Code.BUNDLE_DIGEST


def test_weights_that_lie_beside_the_model_are_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were not hashed with the model, and onnxruntime would look for them in the current folder."""
    plain = onnx.load_from_string(constant_model(head()))
    onnx.save_model(
        plain, tmp_path / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (tmp_path / "weights.bin").exists()
    monkeypatch.chdir(tmp_path)
    folder, digest = folder_with(tmp_path, (tmp_path / "outside.onnx").read_bytes())
    with pytest.raises(EdgewardError, match="External data") as caught:
        model.load(folder, digest, EngineOptions())
    assert caught.value.code is Code.MODEL_LOAD


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"labels": ["a", "b"]}, Code.BUNDLE_MANIFEST, "2 labels"),
        ({"preprocess": {"layout": "nhwc"}}, Code.BUNDLE_MANIFEST, "nhwc"),
        ({"postprocess": {"decoder": "yolox", "strides": [8, 16]}}, Code.BUNDLE_MANIFEST, "strides"),
    ],
)
def test_a_manifest_that_does_not_fit_its_model_is_refused_with_what_was_expected(
    tmp_path: Path, changes: dict[str, object], code: Code, says: str
) -> None:
    folder, digest = folder_with(tmp_path, constant_model(head()), **changes)
    with pytest.raises(EdgewardError, match=says) as caught:
        Inference(model.load(folder, digest, EngineOptions()), StageClock())
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"engine": "abacus"}, "abacus"),
        ({"arch": ["armv7l"]}, "armv7l"),
    ],
)
def test_no_variant_for_this_board_says_why_not(tmp_path: Path, change: dict[str, object], says: str) -> None:
    folder, _ = folder_with(tmp_path, constant_model(head()))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["variants"][0] |= change
    folder, digest = folder_with(tmp_path, constant_model(head()), variants=manifest["variants"])
    with pytest.raises(EdgewardError, match=says) as caught:
        model.load(folder, digest, EngineOptions())
    assert caught.value.code is Code.ENGINE_UNAVAILABLE
