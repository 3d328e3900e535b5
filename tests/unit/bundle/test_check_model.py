"""Every rule for the model's part of a manifest: what breaks it is named by its key, with a remedy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.bundle.check import problems
from runtime.bundle.manifest import Manifest

pytestmark = pytest.mark.unit

PICTURE = {"name": "images", "dtype": "float32", "shape": ["batch", 3, "height", "width"]}
STATE = {
    "name": "state_in",
    "dtype": "float16",
    "shape": [1, 4],
    "feed": "state",
    "from_output": "state_out",
    "value": [0, 0.5, 1, 65504],
}
THRESHOLD = {"name": "threshold", "dtype": "int32", "shape": [], "feed": "value", "value": [5]}
SIZE = {"name": "size", "dtype": "float32", "shape": [1, 2], "feed": "picture_size"}
SCALE = {"name": "scale", "dtype": "float32", "shape": [2], "feed": "picture_scale"}
OUTPUT = {"name": "output", "dtype": "uint8", "shape": ["batch", "n", 6], "quantisation": {"scale": 0.1}}
STATE_OUT = {"name": "state_out", "dtype": "float16", "shape": [1, 4]}
VARIANT = {
    "id": "cpu",
    "engine": "openvino",
    "file": "model.xml",
    "weights": "model.bin",
    "inputs": [PICTURE, STATE, THRESHOLD, SIZE, SCALE],
    "outputs": [OUTPUT, STATE_OUT],
    "dimensions": {"height": 416, "width": 416},
    "preprocess": {"order": "bgr"},
    "postprocess": {"decoder": "yolov8"},
}
FILES = [
    {"path": path, "size": 3, "sha256": "0" * 64, "role": role}
    for path, role in (("model.xml", "model"), ("model.bin", "model"), ("priors.bin", "data"))
]


def manifest(variant: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": "gate",
        "version": "1.0.0",
        "release_counter": 1,
        "task": "detection",
        "labels": ["person"],
        "files": FILES,
        "variants": [VARIANT | (variant or {})],
        "preprocess": {},
        "postprocess": {"decoder": "yolox"},
    } | changes


def found(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [tuple(problem) for problem in problems(msgspec.convert(document, Manifest))]


def inputs(*changed: dict[str, Any]) -> dict[str, Any]:
    """The variant with inputs changed, by name."""
    by_name = {spec["name"]: spec for spec in VARIANT["inputs"]}
    for change in changed:
        by_name[change["name"]] = by_name.get(change["name"], {}) | change
    return {"inputs": list(by_name.values())}


def postprocess(decoder: str, **keys: Any) -> dict[str, Any]:
    return manifest(postprocess={"decoder": decoder} | keys)


def one_input(**changes: Any) -> dict[str, Any]:
    return {"inputs": [PICTURE | changes], "outputs": [OUTPUT], "dimensions": {}}


INF = float("inf")
ANCHORS = [[10, 13], [30, 61], [116, 90]]

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "an id twice": (manifest(variants=[VARIANT, VARIANT]), "variants[1].id", "the id 'cpu' stands twice"),
    "a file of another role": (manifest({"file": "priors.bin"}), "variants[0].file", "is not a model file"),
    "no file": (manifest({"file": ""}), "variants[0].file", "'' is not a model file"),
    "weights that are missing": (manifest({"weights": "x.bin"}), "variants[0].weights", "'x.bin' is not a"),
    "weights in the model": (manifest({"weights": "model.xml"}), "variants[0].weights", "is the model file"),
    "a profile without a name": (manifest({"profiles": [""]}), "variants[0].profiles", "no profile's name"),
    "no inputs": (manifest({"inputs": []}), "variants[0].inputs", "is empty"),
    "no outputs": (manifest({"outputs": []}), "variants[0].outputs", "is empty"),
    "a name twice": (manifest({"outputs": [OUTPUT] * 2}), "variants[0].outputs", "a name twice"),
    "a name that steers a terminal": (
        manifest({"outputs": [OUTPUT | {"name": "\x1b[2J"}, STATE_OUT]}),
        "variants[0].outputs[0].name",
        "not a tensor name",
    ),
    "a dimension of zero": (
        manifest({"outputs": [OUTPUT | {"shape": [1, 0]}, STATE_OUT]}),
        "variants[0].outputs[0].shape",
        "0 is not a dimension",
    ),
    "a dimension that is no name": (
        manifest({"outputs": [OUTPUT | {"shape": ["a b"]}, STATE_OUT]}),
        "variants[0].outputs[0].shape",
        "'a b' is not a dimension",
    ),
    "a huge dimension": (
        manifest({"outputs": [OUTPUT | {"shape": [(1 << 20) + 1]}, STATE_OUT]}),
        "variants[0].outputs[0].shape",
        "1048577 is not a dimension",
    ),
    "nine dimensions": (
        manifest({"outputs": [OUTPUT | {"shape": [1] * 9}, STATE_OUT]}),
        "variants[0].outputs[0].shape",
        "has 9 dimensions",
    ),
    "a quantised float": (
        manifest({"outputs": [OUTPUT | {"dtype": "float32"}, STATE_OUT]}),
        "variants[0].outputs[0].quantisation",
        "a float32 tensor is not quantised",
    ),
    "a quantised index": (
        manifest({"outputs": [OUTPUT | {"dtype": "int32"}, STATE_OUT]}),
        "variants[0].outputs[0].quantisation",
        "a int32 tensor is not quantised",
    ),
    "a zero point that is no byte": (
        manifest({"outputs": [OUTPUT | {"quantisation": {"scale": 1, "zero_point": -1}}, STATE_OUT]}),
        "variants[0].outputs[0].quantisation.zero_point",
        "-1 is no uint8",
    ),
    "an endless scale": (
        manifest({"outputs": [OUTPUT | {"quantisation": {"scale": INF}}, STATE_OUT]}),
        "variants[0].outputs[0].quantisation.scale",
        "is not finite",
    ),
    "a size that is missing": (
        manifest({"dimensions": {"height": 416}}),
        "variants[0].inputs[0].shape",
        "the dimension 'width' has no size",
    ),
    "a batch of an input that is no picture": (
        manifest(inputs(STATE | {"shape": ["batch", 4]}) | {"outputs": [OUTPUT, STATE_OUT]}),
        "variants[0].inputs[1].shape",
        "the dimension 'batch' has no size",
    ),
    "a size of nothing": (
        manifest({"dimensions": {"height": 1, "width": 1, "depth": 1}}),
        "variants[0].dimensions",
        "no tensor has the dimension 'depth'",
    ),
    "a size with a bad name": (
        manifest({"dimensions": {"height": 1, "width": 1, "\x1b[2J": 1}}),
        "variants[0].dimensions",
        r"'\x1b[2J' = 1 is not a dimension",
    ),
    "a size that is too large": (
        manifest({"dimensions": {"height": 1 << 21, "width": 1}}),
        "variants[0].dimensions",
        "'height' = 2097152 is not a dimension",
    ),
    "two pictures": (manifest(inputs(PICTURE | {"name": "b"})), "variants[0].inputs", "2 inputs are fed"),
    "no picture": (
        manifest({"inputs": [THRESHOLD], "dimensions": {}}),
        "variants[0].inputs",
        "0 inputs are fed with",
    ),
    "a picture of int32": (
        manifest(inputs(PICTURE | {"dtype": "int32"})),
        "variants[0].inputs[0].dtype",
        "a picture is not made as int32",
    ),
    "a value that nothing uses": (
        manifest(inputs(PICTURE | {"value": [1]})),
        "variants[0].inputs[0].value",
        "is not used by feed = 'picture'",
    ),
    "no value": (manifest(inputs(THRESHOLD | {"value": []})), "variants[0].inputs[2].value", "is empty"),
    "too many values": (
        manifest(inputs(THRESHOLD | {"value": [1, 2]})),
        "variants[0].inputs[2].value",
        "has 2 numbers for 1 elements",
    ),
    "too few values": (
        manifest(inputs(STATE | {"value": [1, 2, 3]})),
        "variants[0].inputs[1].value",
        "has 3 numbers for 4 elements",
    ),
    "an endless value": (
        manifest(inputs(THRESHOLD | {"dtype": "float32", "value": [INF]})),
        "variants[0].inputs[2].value",
        "inf is no float32",
    ),
    "half an integer": (
        manifest(inputs(THRESHOLD | {"value": [0.5]})),
        "variants[0].inputs[2].value",
        "0.5 is no int32",
    ),
    "a byte of 256": (
        manifest(inputs(THRESHOLD | {"dtype": "uint8", "value": [256]})),
        "variants[0].inputs[2].value",
        "256 is no uint8",
    ),
    "a value that float16 cannot hold": (
        manifest(inputs(STATE | {"value": [1e5]})),
        "variants[0].inputs[1].value",
        "100000 is no float16",
    ),
    "a picture's size of three numbers": (
        manifest(inputs(SIZE | {"shape": [3]})),
        "variants[0].inputs[3].shape",
        "has 3 elements, picture_size is two",
    ),
    "a picture's scale of one number": (
        manifest(inputs(SCALE | {"shape": [1]})),
        "variants[0].inputs[4].shape",
        "has 1 elements, picture_scale is two",
    ),
    "an output that nothing uses": (
        manifest(inputs(SIZE | {"from_output": "output"})),
        "variants[0].inputs[3].from_output",
        "is not used by feed = 'picture_size'",
    ),
    "a state from nowhere": (
        manifest(inputs(STATE | {"from_output": "state"})),
        "variants[0].inputs[1].from_output",
        "there is no output 'state'",
    ),
    "a state of another shape": (
        manifest({"outputs": [OUTPUT, STATE_OUT | {"shape": [4]}]}),
        "variants[0].inputs[1].shape",
        "is float16 [1, 4], its output float16 [4]",
    ),
    "a state of another type": (
        manifest({"outputs": [OUTPUT, STATE_OUT | {"dtype": "float32"}]}),
        "variants[0].inputs[1].shape",
        "is float16 [1, 4], its output float32 [1, 4]",
    ),
    "a scale of zero": (manifest(preprocess={"scale": 0}), "preprocess.scale", "is zero or not a finite"),
    "an endless mean": (manifest(preprocess={"mean": [0, INF, 0]}), "preprocess.mean", "is not finite"),
    "a division by zero": (manifest(preprocess={"std": [1, 1, 0]}), "preprocess.std", "divide by zero"),
    "a pad that is no pixel": (
        manifest(preprocess={"pad": [0, 0, 256]}),
        "preprocess.pad",
        "outside 0 to 255",
    ),
    "a variant's own scale of zero": (
        manifest({"preprocess": {"scale": 0}}),
        "variants[0].preprocess.scale",
        "is zero",
    ),
    "another task than the decoder's": (
        manifest(task="embedding"),
        "task",
        "the decoder gives detection, not embedding",
    ),
    "a task that only one variant does": (
        manifest({"postprocess": {"decoder": "embedding"}}),
        "variants[0].postprocess",
        "gives embedding, the bundle's task is detection",
    ),
    "no labels": (manifest(labels=[]), "labels", "is empty"),
    "no labels for a variant": (
        manifest(
            {"postprocess": {"decoder": "yolox"}},
            labels=[],
            postprocess={"decoder": "plugin", "name": "x"},
        ),
        "labels",
        "is empty",
    ),
    "an endless offset": (postprocess("dfl", cell_offset=INF), "postprocess.cell_offset", "is not finite"),
    "an endless option": (
        postprocess("plugin", name="x", options={"a": INF}),
        "postprocess.options",
        "is not finite",
    ),
    "a plug-in's name that steers a terminal": (
        postprocess("plugin", name="\x1b[2J"),
        "postprocess.name",
        "is not printable",
    ),
    "anchors for two of three strides": (
        postprocess("yolov5", anchors=ANCHORS[:2]),
        "postprocess.anchors",
        "2 rows for 3 strides",
    ),
    "half an anchor": (
        postprocess("yolov5", anchors=[[10, 13], [30], [1, 2]]),
        "postprocess.anchors",
        "or a row that is not pairs",
    ),
    "a stride without anchors": (
        postprocess("yolov5", anchors=[[10, 13], [], [1, 2]]),
        "postprocess.anchors",
        "or a row that is not pairs",
    ),
    "an anchor of no size": (
        postprocess("yolov5", anchors=[[10, 13], [0, 2], [1, 2]]),
        "postprocess.anchors",
        "a size that is not over zero",
    ),
    "an endless anchor": (
        postprocess("yolov5", anchors=[[10, 13], [INF, 2], [1, 2]]),
        "postprocess.anchors",
        "is not finite",
    ),
    "priors that are missing": (
        postprocess("ssd", priors="p.bin"),
        "postprocess.priors",
        "there is no file 'p.bin'",
    ),
    "scales of zero": (
        postprocess("ssd", priors="priors.bin", scales=[10, 10, 0, 5]),
        "postprocess.scales",
        "would divide by zero",
    ),
    "a keypoint twice": (
        manifest(task="keypoints", postprocess={"decoder": "movenet", "keypoints": ["nose", "nose"]})
        | {"variants": [VARIANT | {"postprocess": None}]},
        "postprocess.keypoints[1]",
        "the keypoint 'nose' stands twice",
    ),
    "a keypoint that steers a terminal": (
        postprocess("yunet", keypoints=["a", "b", "\x1b[2J", "d", "e"]),
        "postprocess.keypoints[2]",
        "empty or not printable",
    ),
    "a keypoint of spaces": (
        postprocess("yunet", keypoints=["a", "b", " ", "d", "e"]),
        "postprocess.keypoints[2]",
        "empty or not printable",
    ),
    "integers from -1 to 1": (
        manifest(
            inputs(PICTURE | {"dtype": "uint8"}) | {"preprocess": {"mean": [127.5] * 3, "std": [127.5] * 3}}
        ),
        "variants[0].inputs[0]",
        "preprocessing gives -1 to 1 for a tensor of 0 to 255",
    ),
    "raw pixels in an int8 tensor": (
        manifest(inputs(PICTURE | {"dtype": "int8"})),
        "variants[0].inputs[0]",
        "preprocessing gives 0 to 255 for a tensor of -128 to 127",
    ),
    "a variant's decoder that is wrong": (
        manifest({"postprocess": {"decoder": "ssd", "priors": "p.bin"}}),
        "variants[0].postprocess.priors",
        "there is no file",
    ),
}


def test_the_manifest_that_these_cases_change_is_good() -> None:
    assert found(manifest()) == []


@pytest.mark.parametrize("kind", CASES)
def test_a_model_s_part_is_refused_that_has(kind: str) -> None:
    document, key, what = CASES[kind]
    first = found(document)[0]
    assert first[0] == key
    assert what in first[1]
    assert first[2], "no remedy"
    assert all(part.isprintable() for part in first)


GOOD: dict[str, dict[str, Any]] = {
    "raw pixels": manifest(inputs(PICTURE | {"dtype": "uint8"})),
    "signed pixels": manifest(inputs(PICTURE | {"dtype": "int8"}) | {"preprocess": {"mean": [128] * 3}}),
    "floats for a quantised tensor": manifest(
        inputs(PICTURE | {"dtype": "int8", "quantisation": {"scale": 1 / 128}})
        | {"preprocess": {"mean": [127.5] * 3, "std": [127.5] * 3}}
    ),
    "a model without labels": manifest(
        {"postprocess": None}, labels=[], task="embedding", postprocess={"decoder": "embedding"}
    ),
    "faces as keypoints": manifest({"postprocess": None}, task="keypoints", postprocess={"decoder": "yunet"}),
    "a plug-in for any task": manifest(
        {"postprocess": None}, task="segmentation", postprocess={"decoder": "plugin", "name": "x"}
    ),
    "anchors": postprocess("yolov5", anchors=ANCHORS),
    "priors": postprocess("ssd", priors="priors.bin"),
    "a fixed batch": manifest({"dimensions": {"batch": 1, "height": 416, "width": 416}}),
    "a value for all elements": manifest(inputs(STATE | {"value": [0.25]})),
    "a state that begins with zeros": manifest(inputs(STATE | {"value": []})),
    "a scalar output": manifest(
        {"outputs": [OUTPUT, STATE_OUT, {"name": "n", "dtype": "int64", "shape": []}]}
    ),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_model_s_part_is_good_with(kind: str) -> None:
    assert found(GOOD[kind]) == []
