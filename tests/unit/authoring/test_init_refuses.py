"""What ``bundle init`` refuses: each with what, where and a remedy, and with nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from runtime.authoring import init
from runtime.errors import Code, EdgewardError
from tests.models import Input, constant

pytestmark = pytest.mark.unit

SOFTMAX = np.full((1, 4), 0.25, np.float32)
GOOD = constant({"p": SOFTMAX}, (Input(shape=(1, 3, 64, 64)),))
# A score of each of four classes for each cell: a segmentation, whose labels must differ.
VECTORS = constant({"p": np.full((1, 4, 32, 32), 2.5, np.float32)}, (Input(shape=(1, 3, 64, 64)),))


def outside(model: bytes) -> bytes:
    """The same model with its weights in another file."""
    made = onnx.load_from_string(model)
    for tensor in made.graph.initializer:
        if tensor.name == "p_answer":
            onnx.external_data_helper.set_external_data(tensor, "weights.bin")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    return bytes(made.SerializeToString())


def double() -> bytes:
    made = onnx.load_from_string(GOOD)
    made.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    made.graph.node[-1].attribute[0].i = onnx.TensorProto.DOUBLE
    return bytes(made.SerializeToString())


REFUSED: dict[str, tuple[str, bytes | None, dict[str, Any], Code, str]] = {
    "nothing there": ("m.onnx", None, {}, Code.BUNDLE_MISSING, "no such file"),
    "an empty file": ("m.onnx", b"", {}, Code.MODEL_LOAD, "onnxruntime cannot load"),
    "a picture": ("m.onnx", b"\x89PNG\r\n\x1a\n" * 50, {}, Code.MODEL_LOAD, "ONNX"),
    "half a model": ("m.onnx", GOOD[: len(GOOD) // 2], {}, Code.MODEL_LOAD, "complete"),
    "half a LiteRT model": ("m.tflite", b"\x1c\0\0\0TFL3" + b"\xff" * 90, {}, Code.MODEL_LOAD, "LiteRT"),
    "no LiteRT model": ("m.tflite", GOOD, {}, Code.MODEL_LOAD, "TFL3"),
    "another format": ("m.pt", b"PK\3\4" + bytes(99), {}, Code.MODEL_LOAD, "export the model as"),
    "weights elsewhere": ("m.onnx", outside(GOOD), {}, Code.MODEL_LOAD, "save it as one file"),
    "a type that no tensor has": ("m.onnx", double(), {}, Code.BUNDLE_UNSUPPORTED, "tensor(double)"),
    "no picture": (
        "m.onnx",
        constant({"p": SOFTMAX}, (Input(shape=(1, 40)),)),
        {},
        Code.BUNDLE_UNSUPPORTED,
        "no input takes a picture",
    ),
    "eight pictures at once": (
        "m.onnx",
        constant({"p": SOFTMAX}, (Input(shape=(8, 3, 64, 64)),)),
        {},
        Code.BUNDLE_UNSUPPORTED,
        "8 pictures at once",
    ),
    "a label twice": ("m.onnx", VECTORS, {"labels": "twice.txt"}, Code.USAGE, "'a' stands twice"),
    "too few labels": ("m.onnx", GOOD, {"labels": "three.txt"}, Code.USAGE, "3 labels, but the model has 4"),
    "no labels in it": ("m.onnx", GOOD, {"labels": "none.txt"}, Code.BUNDLE_UNREADABLE, "one label a line"),
    "labels that are no text": ("m.onnx", GOOD, {"labels": "m.onnx"}, Code.BUNDLE_UNREADABLE, "UTF-8"),
    "labels with a gap": ("m.onnx", GOOD, {"labels": "gap.json"}, Code.BUNDLE_UNREADABLE, "0, 1, 2"),
    "labels that are no list": ("m.onnx", GOOD, {"labels": "no.json"}, Code.BUNDLE_UNREADABLE, "no list"),
    "no label file": ("m.onnx", GOOD, {"labels": "missing.txt"}, Code.BUNDLE_MISSING, "no such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drafted_is_refused_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    name, data, request, code, said = REFUSED[case]
    (tmp_path / "three.txt").write_text("a\nb\n\nc\n")
    (tmp_path / "twice.txt").write_text("a\nb\na\nd\n")
    (tmp_path / "gap.json").write_text('{"0": "a", "2": "c"}')
    (tmp_path / "no.json").write_text('{"labels": ["a"]}')
    (tmp_path / "none.txt").write_text("\n \n")
    if data is not None:
        (tmp_path / name).write_bytes(data)
    request = {key: str(tmp_path / value) for key, value in request.items()}
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(EdgewardError) as refused:
        init.run({"model": str(tmp_path / name), "out": str(tmp_path / "out")} | request, lambda _: None)
    assert refused.value.code is code, refused.value
    assert said in str(refused.value)
    assert refused.value.where
    assert refused.value.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_what_is_there_is_not_overwritten(there: str, tmp_path: Path) -> None:
    model, out = tmp_path / "m.onnx", tmp_path / "out"
    model.write_bytes(GOOD)
    if there == "folder":
        out.mkdir()
        (out / "bundle.toml").write_text("mine")
    elif there == "file":
        out.write_text("mine")
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(EdgewardError) as refused:
        init.run({"model": str(model), "out": str(out)}, lambda _: None)
    assert refused.value.code is Code.USAGE
    if there != "link":
        assert (out / "bundle.toml" if there == "folder" else out).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "out"]


def drafted(tmp_path: Path, answers: dict[str, Any], side: int = 128) -> tuple[dict[str, Any], str]:
    model, out = tmp_path / "m.onnx", tmp_path / "out"
    model.write_bytes(constant(answers, (Input(shape=(1, 3, side, side)),)))
    found = init.run({"model": str(model), "out": str(out)}, lambda _: None)
    return found, (out / "bundle.toml").read_text().replace("\n# ", " ")


def test_a_decoder_that_does_not_run_gives_way_to_the_raw_numbers(tmp_path: Path) -> None:
    # As MoveNet's for several people, and every number is none.
    found, text = drafted(tmp_path, {"p": np.full((1, 6, 56), np.nan, np.float32)})
    assert found["decoder"]["name"] == "tensors"
    assert "movenet was tried" in text
    assert found["trial"]["frame_ms"] > 0


def test_a_draft_that_cannot_run_at_all_says_so_first(tmp_path: Path) -> None:
    # More numbers than are handed out raw, of a form that no decoder reads.
    found, text = drafted(tmp_path, {"p": np.zeros((1, 3, 600, 300), np.float32)})
    assert "at most 1048576 bytes" in found["trial"]["refused"]
    assert found["to_check"][0].startswith("it does not run as it is")
    assert f"1. {found['to_check'][0]}" in text
