"""``bundle init`` knows each family by what its model gives, and drafts a folder that runs as it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.authoring import init
from runtime.bundle.manifest import Quantisation
from runtime.bundle.pack import pack
from tests.models import Input, constant
from tests.unit.engine.tflite_writer import tflite_model

pytestmark = pytest.mark.unit

RANDOM = np.random.default_rng(7)
SIDE = 128
CELLS = {stride: (SIDE // stride) ** 2 for stride in (8, 16, 32, 64)}
ROWS = CELLS[8] + CELLS[16] + CELLS[32]
ALL_ROWS = ROWS + CELLS[64]
Array = Any


def f32(values: Array) -> Array:
    return np.asarray(values, np.float32)


def scores(*shape: int) -> Array:
    return f32(RANDOM.random(shape))


def logits(*shape: int) -> Array:
    return f32(RANDOM.normal(0, 3, shape))


def softmax(*shape: int, axis: int) -> Array:
    raised = np.exp(logits(*shape))
    return f32(raised / raised.sum(axis=axis, keepdims=True))


def pixels(*shape: int) -> Array:
    return f32(RANDOM.random(shape) * SIDE)


def rows(*parts: Array) -> Array:
    return np.concatenate(parts, axis=2)


def columns(*parts: Array) -> Array:
    return np.ascontiguousarray(rows(*parts).transpose(0, 2, 1))


def corners(count: int) -> Array:
    first = RANDOM.random((1, count, 2)) * 0.5
    return f32(np.concatenate([first, first + 0.01 + RANDOM.random((1, count, 2)) * 0.4], axis=2))


def unit(count: int) -> Array:
    vector = RANDOM.normal(0, 1, (1, count))
    return f32(vector / np.linalg.norm(vector))


def whole(*shape: int, below: int) -> Array:
    return f32(RANDOM.integers(0, below, shape))


def by_stride(strides: Sequence[int], make: Any) -> dict[str, Array]:
    return {f"out_{stride}": make(SIDE // stride) for stride in strides}


Case = tuple[str, Mapping[str, Array], dict[str, Any], int | None]
BOX, END2END = logits(1, ROWS, 4), (corners(40) * SIDE, scores(1, 40, 1), whole(1, 40, 1, below=3))
CASES: dict[str, Case] = {
    "YOLOX": ("yolox", {"output": rows(BOX / 3, scores(1, ROWS, 8))}, {}, 7),
    "YOLOX, decoded": ("yolov5", {"output": rows(pixels(1, ROWS, 4), scores(1, ROWS, 8))}, {}, 7),
    "YOLOv5": ("yolov5", {"output": rows(pixels(1, 3 * ROWS, 4), scores(1, 3 * ROWS, 8))}, {}, 7),
    "YOLOv5, fractions": (
        "yolov5",
        {"output": rows(scores(1, 3 * ROWS, 4), scores(1, 3 * ROWS, 6))},
        {"box_units": "fraction"},
        5,
    ),
    "YOLOv5, raw": ("yolov5", by_stride((32, 8, 16), lambda side: logits(1, 24, side, side)), {}, 3),
    "YOLOv8": ("yolov8", {"output0": columns(pixels(1, ROWS, 4), scores(1, ROWS, 6))}, {}, 6),
    "YOLOv8-pose": (
        "yolov8_pose",
        {"output0": columns(pixels(1, ROWS, 4), scores(1, ROWS, 1), pixels(1, ROWS, 51))},
        {},
        1,
    ),
    "YOLOv8-seg": (
        "yolov8_seg",
        {
            "output0": columns(pixels(1, ROWS, 4), scores(1, ROWS, 3), logits(1, ROWS, 32)),
            "output1": logits(1, 32, 32, 32),
        },
        {},
        3,
    ),
    "YOLOv10": ("yolov10", {"output0": rows(*END2END)}, {}, None),
    "NanoDet-Plus": ("dfl", {"output": rows(scores(1, ALL_ROWS, 5), logits(1, ALL_ROWS, 32))}, {}, 5),
    "PicoDet": (
        "dfl",
        {f"s{stride}": scores(1, count, 5) for stride, count in CELLS.items()}
        | {f"d{stride}": logits(1, count, 32) for stride, count in CELLS.items()},
        {"layout": "split_rows"},
        5,
    ),
    "YOLOv8 for an NPU": (
        "dfl",
        {
            f"{kind}_{stride}": logits(1, depth, SIDE // stride, SIDE // stride)
            for stride in (8, 16, 32)
            for kind, depth in (("cls", 5), ("reg", 64))
        },
        {"layout": "maps", "activation": "sigmoid", "strides": [8, 16, 32]},
        5,
    ),
    "FastestDet": (
        "fastestdet",
        {
            "758": np.concatenate(
                [scores(1, 1, 8, 8), logits(1, 4, 8, 8), softmax(1, 6, 8, 8, axis=1)], axis=1
            )
        },
        {},
        6,
    ),
    "SSD in the graph, in another order": (
        "ssd_postprocessed",
        {
            "scores": scores(1, 10),
            "boxes": corners(10),
            "count": f32([10]),
            "classes": whole(1, 10, below=20),
        },
        {},
        None,
    ),
    "UltraFace": ("ultraface", {"boxes": corners(300), "scores": softmax(1, 300, 2, axis=2)}, {}, 1),
    "SSD, raw": ("tensors", {"boxes": logits(1, 300, 4), "scores": logits(1, 300, 21)}, {}, 0),
    "YuNet": (
        "yunet",
        {
            f"{kind}_{stride}": (scores if width == 1 else logits)(1, CELLS[stride], width)
            for kind, width in (("obj", 1), ("cls", 1), ("kps", 10), ("bbox", 4))
            for stride in (8, 16, 32)
        },
        {},
        1,
    ),
    "MoveNet": ("movenet", {"output_0": scores(1, 1, 17, 3)}, {}, 1),
    "a classifier": ("classification", {"probabilities": softmax(1, 11, axis=1)}, {}, 11),
    "a classifier without softmax": (
        "classification",
        {"logits": logits(1, 12, 1, 1)},
        {"activation": "softmax"},
        12,
    ),
    "a segmentation": ("semantic", {"out": logits(1, 6, 64, 64)}, {}, 6),
    "a segmentation, as classes": ("semantic", {"out": whole(1, 128, 128, below=4)}, {}, None),
    "a vector": ("embedding", {"fc1": unit(128)}, {}, 0),
    "something else": ("tensors", {"a": logits(1, 3), "b": logits(2, 5, 2)}, {}, 0),
}


def drafted(tmp_path: Path, model: bytes, **request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    file = tmp_path / "My model (1).onnx"
    file.write_bytes(model)
    out = tmp_path / "drafted"
    found = init.run({"model": str(file), "out": str(out)} | request, lambda _: None)
    return found, tomllib.loads((out / "bundle.toml").read_text())


@pytest.mark.parametrize("family", CASES)
def test_each_family_is_known_by_its_outputs_and_the_draft_packs_as_it_is(
    family: str, tmp_path: Path
) -> None:
    decoder, answers, options, classes = CASES[family]
    model = constant(answers, (Input(shape=(1, 3, SIDE, SIDE)),))
    found, written = drafted(tmp_path, model)
    assert found["decoder"]["name"] == decoder, found["decoder"]["reason"]
    assert {key: written["postprocess"].get(key) for key in options} == options
    if classes is not None:
        assert found["labels"]["count"] == classes
    assert found["trial"]["frame_ms"] > 0
    manifest = pack(tmp_path / "drafted", tmp_path / "x.ewb")
    assert manifest.name == "my-model-1"
    assert {spec.name for spec in manifest.variants[0].outputs} <= set(answers)


def test_outputs_come_in_the_decoders_order_whatever_the_files(tmp_path: Path) -> None:
    _, answers, _, _ = CASES["YuNet"]
    _, written = drafted(tmp_path, constant(answers, (Input(shape=(1, 3, SIDE, SIDE)),)))
    names = [output["name"] for output in written["variant"][0]["output"]]
    assert names == [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]


def test_the_text_says_why_and_what_nobody_can_know(tmp_path: Path) -> None:
    _, answers, _, _ = CASES["YOLOX"]
    found, _ = drafted(tmp_path, constant(answers, (Input(shape=(1, 3, SIDE, SIDE)),)))
    text = (tmp_path / "drafted" / "bundle.toml").read_text().replace("\n# ", " ")
    assert found["decoder"]["reason"] in text.replace("\n", " ")
    assert "# To check, since the model file does not say it:" in text
    assert found["to_check"]
    assert all(each in text for each in found["to_check"])
    assert any("order" in each and "fit" in each for each in found["to_check"])


def test_open_sizes_are_filled_said_and_settable(tmp_path: Path) -> None:
    picture = (Input(shape=("batch", 3, "height", "width")),)
    model = constant({"p": softmax(1, 5, axis=1)}, picture)
    found, written = drafted(tmp_path, model)
    assert written["variant"][0]["dimensions"] == {"height": 640, "width": 640}
    assert any("height = 640, width = 640" in each for each in found["to_check"])
    (tmp_path / "drafted").rename(tmp_path / "first")
    found, written = drafted(tmp_path, model, size=[320, 192])
    assert written["variant"][0]["dimensions"] == {"height": 192, "width": 320}
    assert not any("dimensions" in each for each in found["to_check"])
    assert written["variant"][0]["input"][0]["shape"] == ["batch", 3, "height", "width"]


def test_labels_are_taken_counted_and_else_marked_as_placeholders(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"kind {number}" for number in range(11)) + "\n")
    model = constant({"p": softmax(1, 11, axis=1)}, (Input(shape=(1, 3, 64, 64)),))
    found, written = drafted(tmp_path, model, labels=str(names))
    assert found["labels"] == {"count": 11, "source": "from names.txt", "placeholders": False}
    assert written["bundle"]["labels_file"] == "labels.txt"
    assert (tmp_path / "drafted" / "labels.txt").read_text() == names.read_text()
    (tmp_path / "drafted").rename(tmp_path / "first")
    found, _ = drafted(tmp_path, model)
    assert found["labels"]["placeholders"]
    assert "TODO: placeholders" in (tmp_path / "drafted" / "bundle.toml").read_text()


def test_labels_may_come_as_json(tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    names.write_text('{"0": "cat", "10": "k", ' + ", ".join(f'"{at}": "l{at}"' for at in range(1, 10)) + "}")
    model = constant({"p": softmax(1, 11, axis=1)}, (Input(shape=(1, 3, 64, 64)),))
    drafted(tmp_path, model, labels=str(names))
    written = (tmp_path / "drafted" / "labels.txt").read_text().split()
    assert (written[0], written[1], written[10]) == ("cat", "l1", "k")


def test_what_ultralytics_writes_into_its_files_is_believed(tmp_path: Path) -> None:
    import onnx  # noqa: PLC0415

    # 4 + 1 + 2 * 3 columns: two keypoints of one class, or seven classes.
    answer = columns(pixels(1, ROWS, 4), scores(1, ROWS, 7))
    made = onnx.load_from_string(constant({"output0": answer}, (Input(shape=(1, 3, SIDE, SIDE)),)))
    onnx.helper.set_model_props(made, {"names": "{0: 'tool'}", "kpt_shape": "[2, 3]", "task": "pose"})
    found, written = drafted(tmp_path, made.SerializeToString())
    assert (found["decoder"]["name"], written["bundle"]["labels"]) == ("yolov8_pose", ["tool"])
    assert written["postprocess"]["keypoints"] == ["point_0", "point_1"]


def test_a_litert_model_with_open_sides_is_drafted_at_the_size_that_is_given(tmp_path: Path) -> None:
    shape = ("batch", "height", "width", 3)
    tensors: Any = {
        "picture": ("uint8", shape, Quantisation(scale=1 / 255), None),
        "numbers": ("float32", shape, None, None),
        "scores": ("float32", shape, None, None),
    }
    nodes = [("DEQUANTIZE", ["picture"], ["numbers"]), ("LOGISTIC", ["numbers"], ["scores"])]
    file = tmp_path / "m.tflite"
    file.write_bytes(tflite_model(nodes, tensors, ["picture"], ["scores"]))
    request = {"model": str(file), "out": str(tmp_path / "drafted"), "size": [96, 64]}
    found = init.run(request, lambda _: None)
    variant = tomllib.loads((tmp_path / "drafted" / "bundle.toml").read_text())["variant"][0]
    assert variant["dimensions"] == {"size1": 64, "size2": 96}
    assert variant["output"][0]["shape"] == [1, 64, 96, 3]
    assert (found["decoder"]["name"], found["labels"]["count"]) == ("semantic", 3)
    assert found["trial"]["frame_ms"] > 0
