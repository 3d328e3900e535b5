"""The parts of ``bundle quantize``: which frames, what stays float32, how it is judged, what is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import av
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.authoring import footage, int8, quantize
from runtime.authoring.calibration import Recording
from runtime.authoring.evidence import metric_of
from runtime.authoring.quantize import Attempt
from runtime.bundle.author import Author
from runtime.bundle.metrics import ClassesAgree, DetectionsAgree, Measure, VectorsAgree
from runtime.errors import Code, EdgewardError
from runtime.golden.agreement import Agreement
from tests.models import Input, constant

pytestmark = pytest.mark.unit

SIDE = 64


def write_film(path: Path, frames: int) -> Path:
    """Frame ``n`` is all of the gray ``4 * n``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame(SIDE, SIDE, "yuv420p")
            for plane, value in zip(frame.planes, (4 * number, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shades(paths: list[Path], wanted: int) -> list[int]:
    found = footage.spread(footage.files(paths), wanted, lambda _: None)
    return [memoryview(frame.planes[0])[0] // 4 for frame in found]


def test_frames_are_spread_evenly_over_all_files(tmp_path: Path) -> None:
    long, short = write_film(tmp_path / "a.mkv", 20), write_film(tmp_path / "b.mkv", 10)
    assert shades([long], 3) == [0, 10, 19]
    assert shades([long], 100) == list(range(20))
    assert shades([long, short], 4) == [0, 10, 19, 9]
    assert shades([tmp_path], 4) == [0, 10, 19, 9]


@pytest.mark.parametrize("kind", ["nothing", "an empty folder", "a text", "half a film"])
def test_what_is_no_footage_is_an_error_of_the_source(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    if kind == "an empty folder":
        path.mkdir()
    elif kind == "a text":
        path.write_text("no film\n" * 200)
    elif kind == "half a film":
        path.write_bytes(write_film(tmp_path / "y.mkv", 9).read_bytes()[:300])
    with pytest.raises(EdgewardError) as refused:
        shades([path], 4)
    assert refused.value.code.text.startswith("source.")
    assert "x.mkv" in refused.value.where


def detector() -> onnx.ModelProto:
    """Two layers, a last one for each output, and what shapes the outputs behind them."""
    weights = {f"w{at}": np.ones((4, 4, 1, 1), np.float32) for at in range(4)}
    nodes = [
        helper.make_node("Conv", ["images", "w0"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="between"),
        helper.make_node("Conv", ["b", "w1"], ["c"], name="boxes"),
        helper.make_node("Conv", ["b", "w2"], ["d"], name="scores"),
        helper.make_node("Sigmoid", ["d"], ["e"], name="squash"),
        helper.make_node("Concat", ["c", "e"], ["f"], axis=1, name="join"),
    ]
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 4, 8, 8))
    out = helper.make_tensor_value_info("f", TensorProto.FLOAT, (1, 8, 8, 8))
    return helper.make_model(helper.make_graph(nodes, "g", [image], [out], tensors))


def test_the_head_is_what_stands_behind_the_last_layers() -> None:
    plans = {plan.name: set(plan.keep) for plan in int8._plans(detector().graph)}
    assert plans == {
        "all": set(),
        "outputs": {"squash", "join"},
        "head": {"squash", "join", "boxes", "scores"},
    }


def test_a_model_that_cannot_be_prepared_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(EdgewardError) as refused:
        int8.prepare(b"no model at all", tmp_path, where="m.onnx")
    assert refused.value.code is Code.MODEL_LOAD
    assert "opset" in refused.value.remedy


def test_an_old_opset_is_brought_to_one_that_knows_channels(tmp_path: Path) -> None:
    old = detector()
    old.opset_import[0].version = 11
    old.ir_version = 6
    prepared = int8.prepare(old.SerializeToString(), tmp_path, where="m.onnx")
    assert onnx.load(prepared.path).opset_import[0].version >= 13
    assert [plan.name for plan in prepared.plans] == ["all", "outputs", "head"]


def author(decoder: str, metric: Measure | None = None) -> Author:
    tensor = {"name": "x", "dtype": "float32", "shape": [1, 3, 8, 8]}
    raw: dict[str, Any] = {
        "bundle": {"name": "m", "version": "1.0.0", "release_counter": 1, "labels": ["a"]},
        "variant": [
            {"id": "v", "engine": "onnxruntime", "file": "m.onnx", "input": [tensor], "output": [tensor]}
        ],
        "preprocess": {},
        "postprocess": {"decoder": decoder},
    }
    if metric is not None:
        raw["golden"] = {"frames": ["x.png"], "metric": msgspec.to_builtins(metric)}
    return msgspec.convert(raw, Author)


def test_the_metric_is_the_golden_ones_else_the_tasks_with_the_bound_that_is_asked_for() -> None:
    usual = metric_of(author("yolox"), None)
    assert isinstance(usual, DetectionsAgree)
    assert usual.min_score == pytest.approx(0.35 + usual.score_tolerance)
    assert cast("Any", metric_of(author("yolox"), 0.99)).min_matched == 0.99
    assert isinstance(metric_of(author("classification"), None), ClassesAgree)
    assert metric_of(author("embedding"), 0.9) == VectorsAgree(min_cosine=0.9)
    own = ClassesAgree(top_k=3, min_matched=0.5)
    assert metric_of(author("classification", own), None) == own


def attempt(name: str, *, passed: bool, matched: float, iou: float, ms: float) -> Attempt:
    agreement = Agreement(passed=passed, figures={"matched": matched, "mean_iou": iou}, why="")
    plan = int8.Plan(name, name, ())
    return Attempt(plan, agreement, matched, Path(name), cast("Any", None), ms)


@pytest.mark.parametrize(
    ("slow_ms", "taken"),
    [(10.5, 1), (20.0, 0)],
    ids=["about as fast: the truer one", "much slower: the faster one"],
)
def test_the_fastest_that_passes_is_taken_or_a_truer_one_that_is_about_as_fast(
    slow_ms: float, taken: int
) -> None:
    attempts = [
        attempt("fast", passed=True, matched=0.95, iou=0.88, ms=10.0),
        attempt("true", passed=True, matched=1.0, iou=0.98, ms=slow_ms),
        attempt("wrong", passed=False, matched=0.2, iou=0.9, ms=1.0),
    ]
    assert quantize._best(attempts) == taken


def test_a_folder_without_a_float32_onnx_model_has_nothing_to_quantise(tmp_path: Path) -> None:
    text = """
[bundle]
name = "m"
version = "1.0.0"
release_counter = 1
labels = ["a"]
[[variant]]
id = "small"
engine = "litert"
file = "m.tflite"
input = [{ name = "x", dtype = "float32", shape = [1, 8, 8, 3] }]
output = [{ name = "y", dtype = "float32", shape = [1, 1] }]
[preprocess]
layout = "nhwc"
[postprocess]
decoder = "classification"
"""
    (tmp_path / "bundle.toml").write_text(text)
    with pytest.raises(EdgewardError, match="float32 ONNX") as refused:
        quantize.run({"folder": str(tmp_path), "calibrate": ["x.png"]}, lambda _: None)
    assert refused.value.code is Code.USAGE


def test_without_frames_there_is_nothing_to_calibrate_with(tmp_path: Path) -> None:
    answer = np.full((1, 1), 0.5, np.float32)
    (tmp_path / "m.onnx").write_bytes(constant({"y": answer}))
    (tmp_path / "bundle.toml").write_text(
        '[bundle]\nname = "m"\nversion = "1.0.0"\nrelease_counter = 1\nlabels = ["a"]\n'
        '[[variant]]\nid = "v"\nengine = "onnxruntime"\nfile = "m.onnx"\n'
        'input = [{ name = "images", dtype = "float32", shape = [1, 3, 32, 32] }]\n'
        'output = [{ name = "y", dtype = "float32", shape = [1, 1] }]\n'
        '[preprocess]\n[postprocess]\ndecoder = "classification"\n'
    )
    with pytest.raises(EdgewardError, match="--calibrate") as refused:
        quantize.run({"folder": str(tmp_path)}, lambda _: None)
    assert refused.value.code is Code.USAGE


@pytest.mark.parametrize("kind", ["float32", "16 bits", "quantised already", "no ONNX file"])
def test_only_a_float32_model_is_quantised_whatever_is_said_of_it(kind: str) -> None:
    made = onnx.load_from_string(constant({"p": np.zeros((1, 4), np.float32)}, (Input(shape=(1, 3, 8, 8)),)))
    if kind == "16 bits":
        made.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT16, [1], [1.0]))
    if kind == "quantised already":
        made.graph.node.append(helper.make_node("DequantizeLinear", ["q", "s"], ["w"]))
    data = b"\xff" * 99 if kind == "no ONNX file" else made.SerializeToString()
    if kind == "float32":
        int8.check_float32(data, where="m.onnx")
        return
    with pytest.raises(EdgewardError) as refused:
        int8.check_float32(data, where="m.onnx")
    assert kind in refused.value.what
    assert refused.value.code is (Code.MODEL_LOAD if kind == "no ONNX file" else Code.USAGE)


def test_a_full_disk_is_called_so_while_frames_are_recorded(tmp_path: Path) -> None:
    class Inner:
        provider, inputs, outputs = "cpu", (), ()

    recording = Recording(cast(Any, Inner()), tmp_path / "gone")
    with pytest.raises(EdgewardError) as refused:
        recording.write([])
    assert refused.value.code.text.startswith("system.")
