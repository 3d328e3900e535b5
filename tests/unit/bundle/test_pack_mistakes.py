"""Mistakes in an author's folder: each is named by file and key, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import ExitStatus

from .conftest import TOML, Outcome, listed

pytestmark = pytest.mark.unit

Edgeward = Callable[..., Outcome]


def link_out(author: Path) -> None:
    (author / "model.onnx").unlink()
    (author / "model.onnx").symlink_to("/etc/hostname")


def swap(old: str, new: str) -> Callable[[Path], None]:
    def change(author: Path) -> None:
        assert old in TOML
        (author / "bundle.toml").write_text(TOML.replace(old, new))

    return change


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "an unknown key": (swap("labels =", "lables ="), "bundle.lables: unknown key; did you mean 'labels'?"),
    "an unknown table": (
        swap("[preprocess]", "[preproces]"),
        "preproces: unknown key; did you mean 'preprocess'?",
    ),
    "an unknown key of a tensor": (swap("dtype =", "type ="), "variant[0].input[0].type: unknown key"),
    "a missing key": (
        swap("release_counter = 7\n", ""),
        "bundle.release_counter: missing; add a whole number",
    ),
    "a missing table": (
        swap('[postprocess]\ndecoder = "yolox"\n', ""),
        "postprocess: missing; add a table with",
    ),
    "no decoder": (swap('decoder = "yolox"', ""), "postprocess.decoder: missing"),
    "a wrong decoder": (
        swap('"yolox"', '"yolo"'),
        "postprocess.decoder: 'yolo' is not known; did you mean 'yolox'?",
    ),
    "a wrong fit": (swap('"letterbox_topleft"', '"leterbox"'), "preprocess.fit: 'leterbox' is not known"),
    "a wrong type": (
        swap("release_counter = 7", 'release_counter = "7"'),
        "bundle.release_counter: expected int",
    ),
    "a wrong shape": (
        swap("[1, 3, 32, 32]", "[1, 3, 0, 32]"),
        "variant[0].input[0].shape: 0 is not a dimension",
    ),
    "a wrong version": (swap('"1.2.3"', '"v1"'), "bundle.version: 'v1' does not fit; use a semantic version"),
    "no labels": (swap('labels = ["person", "car"]\n', ""), "bundle.labels: missing"),
    "labels twice": (swap("labels = [", 'labels_file = "x"\nlabels = ['), "both given"),
    "a label twice": (swap('"car"', '"person"'), "bundle.labels[1]: the label 'person' stands twice"),
    "a label twice in a file": (
        lambda a: (
            swap('labels = ["person", "car"]', 'labels_file = "x"')(a),
            (a / "x").write_text("person\ncar\nperson\n"),
        ),
        "bundle.labels_file: the label 'person' stands twice",
    ),
    "more labels than a manifest has": (
        swap('["person", "car"]', str([str(at) for at in range(10_001)])),
        "bundle.labels: expected array of length <= 10000",
    ),
    "a whole number of thousands of digits": (
        swap("[1, 3, 32, 32]", f"[1, 3, 0x{'f' * 5000}, 32]"),
        "variant[0].input[0].shape[2]: a whole number of more than 64 bits",
    ),
    "a picture of terabytes": (
        swap("[1, 3, 32, 32]", "[1, 3, 1048576, 1048576]"),
        "variant[0].input[0].shape: with [1, 3, 1048576, 1048576] the tensors have",
    ),
    "a variant's own preprocessing that divides by zero": (
        swap("[[variant.input]]", "preprocess = { std = [1, 0, 1] }\n[[variant.input]]"),
        "variant[0].preprocess.std: would divide by zero",
    ),
    "no labels file": (
        swap('labels = ["person", "car"]', 'labels_file = "x"'),
        "bundle.labels_file: no file 'x'",
    ),
    "labels of no name": (swap('labels = ["person", "car"]', 'labels_file = "\\u0000"'), "cannot be found"),
    "binary labels": (swap('labels = ["person", "car"]', 'labels_file = "model.onnx"'), "not UTF-8 text"),
    "a missing model": (lambda a: (a / "model.onnx").unlink(), "variant[0].file: no file 'model.onnx'"),
    "a model outside": (
        swap('"model.onnx"', '"../model.onnx"'),
        "variant[0].file: the file name '../model.onnx'",
    ),
    "a link to the outside": (link_out, "variant[0].file: 'model.onnx' leads out of the folder"),
    "a folder for a model": (swap('"model.onnx"', '"docs"'), "this is a folder, not a file"),
    "a file twice": (
        swap('"docs/NOTES.txt"', '"model.onnx"'),
        "file[0].path: the file 'model.onnx' is in the bundle",
    ),
    "a name too long": (swap('"docs/NOTES.txt"', f'"{"n" * 101}"'), "use shorter names"),
    "not TOML": (lambda a: (a / "bundle.toml").write_text("[bundle\n"), "not valid TOML"),
    "not text": (lambda a: (a / "bundle.toml").write_bytes(b"\xff\xfe"), "not UTF-8 text at byte 0"),
    "no bundle.toml": (lambda a: (a / "bundle.toml").unlink(), "no such file"),
    "a number too long": (swap("release_counter = 7", "release_counter = " + "7" * 5000), "not valid TOML"),
    "weights that are missing": (
        swap("[[variant.input]]", 'weights = "w.bin"\n[[variant.input]]'),
        "variant[0].weights: no file 'w.bin'",
    ),
    "an unknown key of a variant's decoder": (
        swap("[preprocess]", '[variant.postprocess]\ndecoder = "yolov8"\nstrides = [8]\n[preprocess]'),
        "variant[0].postprocess.strides: unknown key",
    ),
    "an unknown key of a decoder": (
        swap('decoder = "yolox"', 'decoder = "yolov8"\nstrides = [8]'),
        "postprocess.strides: unknown key; use one of: box_units, class_agnostic, decoder",
    ),
    "an unknown decoder of a variant": (
        swap("[[variant.input]]", 'postprocess = { decoder = "yolov88" }\n[[variant.input]]'),
        "variant[0].postprocess.decoder: 'yolov88' is not known; did you mean 'yolov8'?",
    ),
    "a variant's decoder of another task": (
        swap("[[variant.input]]", 'postprocess = { decoder = "embedding" }\n[[variant.input]]'),
        "variant[0].postprocess: gives embedding, the bundle's task is detection",
    ),
    "a dimension that is no number": (
        swap("[[variant.input]]", 'dimensions = { height = "x" }\n[[variant.input]]'),
        "variant[0].dimensions[...]: expected int, got str; use a table of names and a whole number",
    ),
    "a dimension without a size": (
        swap("[1, 3, 32, 32]", '[1, 3, "height", 32]'),
        "variant[0].input[0].shape: the dimension 'height' has no size; add dimensions.height",
    ),
    "a wrong feed": (
        swap("shape = [1, 3, 32, 32]", 'shape = [1, 3, 32, 32]\nfeed = "pictures"'),
        "variant[0].input[0].feed: 'pictures' is not known; did you mean 'picture'?",
    ),
    "a feed of an output": (
        swap('name = "output"', 'name = "output"\nfeed = "picture"'),
        "variant[0].output[0].feed: unknown key",
    ),
    "a state without its output": (
        swap(
            "[[variant.output]]",
            '[[variant.input]]\nname = "s"\ndtype = "int8"\nshape = [1]\nfeed = "state"\n[[variant.output]]',
        ),
        "variant[0].input[1].from_output: there is no output ''",
    ),
    "a scale of zero": (
        swap('dtype = "float32"', 'dtype = "uint8"\nquantisation = { scale = 0 }'),
        "variant[0].input[0].quantisation.scale: expected float > 0.0",
    ),
    "a task that the decoder does not give": (
        swap("labels =", 'task = "embedding"\nlabels ='),
        "bundle.task: the decoder gives detection, not embedding",
    ),
    "priors that are not in the bundle": (
        swap('"yolox"', '"ssd"\npriors = "priors.bin"'),
        "postprocess.priors: there is no file 'priors.bin'; add it as a [[file]]",
    ),
    "keypoints that are missing": (
        swap('"yolox"', '"movenet"'),
        "postprocess.keypoints: missing; add a list of text",
    ),
    "a number that is none": (swap("order =", "scale = nan\norder ="), "preprocess.scale"),
    "a newer edgeward": (
        swap("labels =", 'min_runtime = "9.0.0"\nlabels ='),
        "min_runtime: the bundle needs edgeward 9",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_is_named_by_file_and_key(
    kind: str, author: Path, tmp_path: Path, edgeward: Edgeward
) -> None:
    change, text = WRONG[kind]
    change(author)
    outcome = edgeward("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    assert outcome.status in {ExitStatus.BUNDLE_REFUSED, ExitStatus.BUNDLE_UNREADABLE}
    assert text in outcome.err
    assert str(author) in outcome.err
    assert outcome.err.count("\n") == 1
    assert listed(tmp_path) == ["author"]


def test_a_missing_folder_is_named(tmp_path: Path, edgeward: Edgeward) -> None:
    outcome = edgeward("bundle", "pack", tmp_path / "x", "--out", tmp_path / "x.ewb")
    assert (outcome.status, "no such folder" in outcome.err) == (ExitStatus.BUNDLE_UNREADABLE, True)
