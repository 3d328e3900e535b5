"""``bundle init`` and hostile or odd files: what is written is what was meant, and a doubt is said."""

from __future__ import annotations

import io
import signal
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from agent.cli import bundle_init
from runtime.authoring import init
from runtime.authoring.child import finishing
from runtime.authoring.guesses import NO_BOXES, Facts, off_the_grid
from runtime.authoring.model_file import Output, file_name
from runtime.authoring.onnx_contents import _called
from runtime.authoring.recognise import recognise
from runtime.authoring.tflite_contents import _labels
from runtime.bundle.decoders import Semantic, SsdPostprocessed, Tensors, Yolov5, Yolov8, Yolov10
from runtime.bundle.pack import pack
from runtime.errors import Code, EdgewardError
from tests.models import Input, constant

pytestmark = pytest.mark.unit

RANDOM = np.random.default_rng(3)
NAMES = [f"kind {number}" for number in range(10)]
SCORES = {"p": np.full((1, 10), 0.1, np.float32)}
PICTURE = (Input(shape=(1, 3, 64, 64)),)


def drafted(tmp_path: Path, model: bytes, **request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    file = tmp_path / "m.onnx"
    file.write_bytes(model)
    asked = {"model": str(file), "out": str(tmp_path / "out")} | request
    found = init.run(asked, lambda _: None)
    return found, tomllib.loads((tmp_path / "out" / "bundle.toml").read_text())


def with_notes(model: bytes, notes: dict[str, str]) -> bytes:
    made = onnx.load_from_string(model)
    onnx.helper.set_model_props(made, notes)
    return bytes(made.SerializeToString())


def refusal(tmp_path: Path, model: bytes, **request: Any) -> EdgewardError:
    with pytest.raises(EdgewardError) as refused:
        drafted(tmp_path, model, **request)
    assert not (tmp_path / "out").exists()
    return refused.value


def test_a_label_file_of_windows_is_read_and_its_mark_left_out(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes("\r\n".join(NAMES).encode("utf-8-sig"))
    found, _ = drafted(tmp_path, constant(SCORES, PICTURE), labels=str(tmp_path / "l.txt"))
    assert found["decoder"]["name"] == "classification"
    assert pack(tmp_path / "out", tmp_path / "x.ewb").labels == tuple(NAMES)


@pytest.mark.parametrize("odd", ["", "two\\nlines", "\\u001b[31mred", "x" * 201])
def test_labels_that_no_manifest_may_have_are_refused_by_name(odd: str, tmp_path: Path) -> None:
    (tmp_path / "l.json").write_text(f'["{odd}"' + "".join(f', "{name}"' for name in NAMES[1:]) + "]")
    refused = refusal(tmp_path, constant(SCORES, PICTURE), labels=str(tmp_path / "l.json"))
    assert refused.code is Code.BUNDLE_UNREADABLE
    assert "label 0" in refused.what


def test_labels_of_the_file_that_cannot_be_used_do_not_cost_the_decoder(tmp_path: Path) -> None:
    names = {at: "\x1b[31m" if at == 4 else name for at, name in enumerate(NAMES)}
    found, _ = drafted(tmp_path, with_notes(constant(SCORES, PICTURE), {"names": repr(names)}))
    assert (found["decoder"]["name"], found["labels"]["placeholders"]) == ("classification", True)
    assert any("label 4" in each for each in found["to_check"])


@pytest.mark.parametrize(
    "notes", [{"imgsz": "[" + "9" * 5000 + ", 4]"}, {"imgsz": "0"}, {"kpt_shape": f"[9, {'9' * 5000}]"}]
)
def test_numbers_in_notes_that_are_no_sizes_are_left_aside(notes: dict[str, str], tmp_path: Path) -> None:
    model = constant(SCORES, (Input(shape=(1, 3, "h", "w")),))
    _, written = drafted(tmp_path, with_notes(model, notes))
    assert written["variant"][0]["dimensions"] == {"h": 640, "w": 640}


@pytest.mark.parametrize("shape", ["[0, 3]", "[10, 5]", "[17]", f"[9, {'9' * 5000}]"])
def test_keypoints_that_cannot_be_are_not_believed(shape: str) -> None:
    values = np.zeros((1, 56, 84), np.float32)
    guess = recognise(Facts((Output(0, "o", values),), 64, 64, {"kpt_shape": shape}, 0))
    assert isinstance(guess.decoder, Yolov8)


def test_a_tensor_whose_name_no_manifest_may_have_is_refused(tmp_path: Path) -> None:
    refused = refusal(tmp_path, constant({"p\x1b[31m\n]": SCORES["p"]}, PICTURE))
    assert refused.code is Code.BUNDLE_UNSUPPORTED
    assert "plain names" in refused.remedy


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    # A name of two bytes that are no UTF-8, in the place of "pq".
    model = constant({"pq": SCORES["p"]}, PICTURE).replace(b"pq", b"\xff\xfe")
    assert refusal(tmp_path, model).code is Code.MODEL_LOAD


def test_what_goes_to_the_terminal_holds_no_commands_for_it() -> None:
    spec = {"name": "a\x1b]0;x\x07\x9b31m", "dtype": "float32", "shape": [1]}
    shown = bundle_init._row("in", bundle_init._tensor(spec))
    assert shown.replace("\n", "").isprintable()
    assert "\\x1b" in shown


def test_two_open_sizes_stay_two(tmp_path: Path) -> None:
    assert _called(["a-b", 3, "a b", "a-b"]) == {"a-b": "a_b", "a b": "a_b_2"}
    model = constant(SCORES, (Input(shape=(1, 3, "a-b", "a b")),))
    _, written = drafted(tmp_path, model, size=[96, 64])
    assert written["variant"][0]["dimensions"] == {"a_b": 64, "a_b_2": 96}


@pytest.mark.parametrize(
    ("name", "engine", "called"),
    [
        ("labels.txt", "litert", "labels.txt.tflite"),
        ("manifest.json", "litert", "manifest.json.tflite"),
        ("bundle.toml", "litert", "bundle.toml.tflite"),
        ("M.ONNX", "onnxruntime", "M.onnx"),
        ("a" * 250 + ".onnx", "onnxruntime", "a" * 80 + ".onnx"),
        ("../..", "litert", "model.tflite"),
    ],
)
def test_a_model_is_called_like_no_other_file_of_the_folder(name: str, engine: str, called: str) -> None:
    assert file_name(name, engine) == called


def test_a_size_that_the_file_cannot_take_is_refused(tmp_path: Path) -> None:
    refused = refusal(tmp_path, constant(SCORES, PICTURE), size=[640, 480])
    assert refused.code is Code.USAGE
    assert "64x64" in refused.what


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert drafted(tmp_path, constant(SCORES, PICTURE))[0]["name"] == "m"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_archive_of_labels_is_none(method: int) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression=method) as archive:
        archive.writestr("labels.txt", "a\nb\n" * 500)
    assert len(_labels(held.getvalue())) == 1000
    data = bytearray(held.getvalue())
    data[40:60] = b"\xff" * 20
    assert _labels(bytes(data)) == ()


def guess_of(answers: dict[str, Any], side: int = 64, labels: int = 0, **notes: str) -> Any:
    outputs = tuple(
        Output(at, name, np.asarray(each, np.float32)) for at, (name, each) in enumerate(answers.items())
    )
    return recognise(Facts(outputs, side, side, notes, labels))


def test_class_scores_in_the_form_of_yolov8_raise_a_doubt_and_boxes_about_their_cells_none() -> None:
    scores = RANDOM.random((1, 24, 84))
    assert NO_BOXES in guess_of({"o": scores}).unknown
    cells = [
        (x * step, y * step) for step in (8, 16, 32) for y in range(64 // step) for x in range(64 // step)
    ]
    for unit in (1, 1 / 64):
        scores[0, :2] = (np.array(cells).T + RANDOM.random((2, 84))) * unit
        guess = guess_of({"o": scores})
        assert isinstance(guess.decoder, Yolov8)
        assert NO_BOXES not in guess.unknown
    rows = RANDOM.random((1, 84, 9))
    rows[0, :, :2] = np.array(cells) / 64
    assert isinstance(guess_of({"o": rows}).decoder, Yolov5), "decoded, as fractions, and no raw YOLOX"
    assert off_the_grid(Facts((), 64, 64, {}, 0), rows[0, :5], (8, 16, 32))


def test_centres_and_sizes_are_not_taken_for_corners() -> None:
    rest = RANDOM.random((1, 300, 1)), RANDOM.integers(0, 9, (1, 300, 1))
    assert isinstance(
        guess_of({"o": np.concatenate([RANDOM.random((1, 300, 4)), *rest], 2)}).decoder, Tensors
    )
    nothing = guess_of({"o": np.zeros((1, 300, 6))})
    assert isinstance(nothing.decoder, Yolov10)
    assert nothing.decoder.box_units == "pixels"
    assert any("found nothing in noise" in each for each in nothing.unknown)


def test_suppressed_boxes_in_pixels_are_no_ssd_of_tensorflow() -> None:
    rest = {"n": [[7]], "scores": RANDOM.random((1, 9)), "classes": RANDOM.integers(0, 9, (1, 9))}
    assert isinstance(guess_of({"boxes": RANDOM.random((1, 9, 4)) * 640} | rest).decoder, Tensors)
    onnx_guess = guess_of({"boxes": RANDOM.random((1, 9, 4))} | rest, producer="pytorch")
    assert isinstance(onnx_guess.decoder, SsdPostprocessed)
    assert any("y1, x1, y2, x2" in each for each in onnx_guess.unknown)


def test_maps_of_a_yolov8_are_not_read_with_anchors() -> None:
    maps = {f"o{step}": np.zeros((1, 144, 64 // step, 64 // step)) for step in (8, 16, 32)}
    assert isinstance(guess_of(maps).decoder, Tensors)
    assert isinstance(guess_of(maps, labels=43).decoder, Yolov5)


def test_a_guess_by_the_shape_alone_names_what_else_it_may_be() -> None:
    heatmaps = guess_of({"o": RANDOM.random((1, 17, 16, 16))})
    assert isinstance(heatmaps.decoder, Semantic)
    assert any("heatmaps" in each for each in heatmaps.instead)
    assert any("coordinates" in each for each in guess_of({"o": RANDOM.random((1, 10))}).instead)


def test_an_interrupt_does_not_come_between_new_files_and_their_names() -> None:
    order: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: order.append("interrupted"))
    try:
        with finishing():
            signal.raise_signal(signal.SIGINT)
            order.append("finished")
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert order == ["finished", "interrupted"]
