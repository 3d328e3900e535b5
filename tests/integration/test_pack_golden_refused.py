"""What cannot be made golden is refused, with the key of ``bundle.toml`` and what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from runtime.bundle.pack import pack_bundle
from runtime.errors import Code, EdgewardError
from tests import models

from .golden_author import SEEN, TOML, make_author, refused, write

pytestmark = [pytest.mark.integration, pytest.mark.command]


@pytest.fixture
def author(tmp_path: Path) -> Path:
    return make_author(tmp_path / "author")


@pytest.mark.parametrize(
    ("golden", "where", "says"),
    [
        ('frames = ["none.jpg"]', "golden.frames[0]", "no file 'none.jpg'"),
        ('frames = ["film.mkv", "*.jpg"]', "golden.frames[1]", "no file '*.jpg'"),
        ('frames = ["pictures"]', "golden.frames[0]", "no file 'pictures'"),
        ('frames = ["../author/film.mkv"]', "golden.frames[0]", "no name within the folder"),
        ('frames = ["/etc/hostname"]', "golden.frames[0]", "no name within the folder"),
        ('frames = [""]', "golden.frames[0]", "no name within the folder"),
        ('frames = ["film.mkv#"]', "golden.frames[0]", "no frame numbers behind '#'"),
        ('frames = ["film.mkv#1,x"]', "golden.frames[0]", "no frame numbers behind '#'"),
        ('frames = ["film.mkv#9-1"]', "golden.frames[0]", "names 0 frames"),
        ('frames = ["film.mkv#0-5000"]', "golden.frames[0]", "names 5001 frames"),
        (
            'frames = ["film.mkv#3,12"]',
            "golden.frames[0]",
            "'film.mkv' has no sound frame 12, only frames 0 to 11",
        ),
        ('frames = ["pictures/a.jpg#1"]', "golden.frames[0]", "has no sound frame 1"),
        ('frames = ["model.onnx"]', "golden.frames[0]", "'model.onnx' cannot be decoded"),
        ('frames = ["film.mkv"]\nreference = "gpu"', "golden.reference", "there is no variant 'gpu'"),
        ('frames = ["**.png"]', "golden.frames[0]", "'**.png' is no name or pattern: Invalid pattern"),
        (f'frames = ["{"x" * 300}.png"]', "golden.frames[0]", "is no name or pattern: File name too long"),
        (
            'frames = ["film.mkv"]\nmetric = { compare = "detections", min_matched = 0 }',
            "golden.metric.min_matched",
            "expected float >= 0.5",
        ),
        ("frames = []", "golden.frames", "length >= 1"),
        (
            'frames = ["film.mkv"]\nmetric = { compare = "classes" }',
            "golden.metric.compare",
            "gives detections",
        ),
    ],
)
def test_what_cannot_be_made_golden_is_named(author: Path, golden: str, where: str, says: str) -> None:
    error = refused(author, golden)
    assert error.where == f"{author}/bundle.toml: {where}"
    assert says in error.what
    assert error.remedy


def cut_short(author: Path) -> None:
    whole = (author / "pictures" / "a.jpg").read_bytes()
    (author / "pictures" / "x.jpg").write_bytes(whole[: len(whole) * 2 // 3])


def unreadable_name(author: Path) -> None:
    shutil.copy(author / "pictures" / "b.png", os.fsencode(author / "pictures") + b"/x\xff.png")


def leading_out(author: Path) -> None:
    shutil.copy(author / "pictures" / "b.png", author.parent / "other.png")
    (author / "pictures" / "x.png").symlink_to(author.parent / "other.png")


def a_text(author: Path) -> None:
    (author / "pictures" / "x.txt").write_text("These are my pictures.\n" * 50)


def a_list_of_other_files(author: Path) -> None:
    (author / "pictures" / "x.film").write_text("ffconcat version 1.0\nfile 'a.jpg'\n")


def too_small(author: Path) -> None:
    cv2.imwrite(str(author / "pictures" / "x.png"), np.zeros((1, 1, 3), np.uint8))


def too_large(author: Path) -> None:
    cv2.imwrite(str(author / "pictures" / "x.png"), np.zeros((20_000, 1_700), np.uint8))


def beyond_what_is_decoded(author: Path) -> None:
    cv2.imwrite(str(author / "pictures" / "x.png"), np.zeros((20_000, 20_000), np.uint8))


def damaged(author: Path) -> None:
    (author / "pictures" / "x.png").write_bytes((author / "pictures" / "b.png").read_bytes()[:60])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (cut_short, "'pictures/x.jpg' is cut short"),
        (unreadable_name, "the file name 'pictures/x\\udcff.png' is not readable text"),
        (leading_out, "'pictures/x.png' leads out of the folder"),
        (a_text, "'pictures/x.txt' is no picture or film, but tty"),
        (a_list_of_other_files, "'pictures/x.film' is no picture or film, but concat"),
        (too_small, "a picture of 1x1 pixels"),
        (too_large, "a picture of 1700x20000 pixels, over 33554432 in all"),
        (beyond_what_is_decoded, "it is damaged, cut short, or too large"),
        (damaged, "'pictures/x.png' has no picture that can be decoded"),
    ],
)
def test_a_file_that_is_no_sound_picture_is_named(
    author: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(author)
    error = refused(author, 'frames = ["film.mkv", "pictures/*"]')
    assert (error.code, says in error.what) == (Code.BUNDLE_GOLDEN, True), error.what
    assert error.where.startswith(f"{author}/bundle.toml: golden.frames[1]")
    assert error.remedy


def test_results_that_a_dead_model_would_give_too_are_no_check(author: Path) -> None:
    rare = np.zeros((1, 5, 6), np.float32)
    rare[0, 0, 0] = 0.5
    (author / "model.onnx").write_bytes(models.constant({"output": rare}))
    toml = TOML.replace("yolov10", "tensors")
    write(author, 'frames = ["film.mkv"]', toml)
    pack_bundle(author, author.parent / "x.ewb")
    (author.parent / "x.ewb").unlink()
    error = refused(author, 'frames = ["film.mkv"]\nmetric = { compare = "tensors", atol = 0.6 }', toml)
    assert error.what.startswith("these golden results prove nothing: no answer at all would agree as well")
    assert error.where == f"{author}/bundle.toml: golden.frames"


def test_frames_on_which_a_model_finds_nothing_are_no_check(author: Path) -> None:
    (author / "model.onnx").write_bytes(models.constant({"output": SEEN * 0}))
    error = refused(author, 'frames = ["pictures/*"]')
    assert error.code is Code.BUNDLE_GOLDEN
    assert error.what.startswith(
        "the model finds nothing in any of the 3 golden frames that scores 0.45 or more"
    )


def test_outputs_that_are_not_numbers_are_no_golden_results(author: Path) -> None:
    (author / "model.onnx").write_bytes(models.constant({"output": SEEN * np.float32(np.nan)}))
    assert refused(author, 'frames = ["film.mkv"]').code is Code.MODEL_RUN


def test_a_model_that_does_not_load_is_told_in_the_engine_s_words(author: Path) -> None:
    (author / "model.onnx").write_bytes(b"no model")
    error = refused(author, 'frames = ["film.mkv"]')
    assert (error.code, error.where) == (Code.MODEL_LOAD, "gate: model.onnx")


def test_tensors_that_the_model_does_not_have_are_told(author: Path) -> None:
    toml = TOML.replace('name = "output"', 'name = "outputs"')
    assert "outputs" in refused(author, 'frames = ["film.mkv"]', toml).what


def test_an_engine_that_the_reference_path_does_not_know_is_told(author: Path) -> None:
    error = refused(author, 'frames = ["film.mkv"]', TOML.replace('"onnxruntime"', '"tensorrt"'))
    assert error.where == f"{author}/bundle.toml: golden.reference"
    assert "no engine here for tensorrt; it runs onnxruntime, litert, openvino" in error.what


def test_a_file_in_the_folder_that_pack_fills_is_refused(author: Path) -> None:
    (author / "golden").mkdir()
    (author / "golden" / "mine.txt").touch()
    error = refused(author, 'frames = ["film.mkv"]\n[[file]]\npath = "golden/mine.txt"\n')
    assert "is for what [golden] makes" in error.what


def test_a_picture_that_is_read_is_not_overwritten(author: Path) -> None:
    write(author, 'frames = ["pictures/*.png"]')
    with pytest.raises(EdgewardError, match="would be overwritten"):
        pack_bundle(author, author / "pictures" / "b.png")
    assert cv2.imread(str(author / "pictures" / "b.png")) is not None


def package(folder: Path, name: str, code: str, entry: str = "") -> None:
    """A package on the author's own ``PYTHONPATH``."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(entry)


def test_without_opencv_it_says_what_to_install(
    author: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path / "site", "cv2", "raise ModuleNotFoundError('No module named cv2', name='cv2')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    error = refused(author, 'frames = ["film.mkv"]')
    assert error.code is Code.BUNDLE_GOLDEN
    assert (error.what.endswith("not installed: cv2"), error.remedy) == (
        True,
        "pip install 'edgeward[author]'",
    )


ABORTS = """\
import os, sys
def build(spec, context):
    print("out of cheese", file=sys.stderr, flush=True)
    os.abort()
"""


def test_a_model_that_aborts_the_process_is_an_error_with_its_last_words(
    author: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path / "site", "rough", ABORTS, "[edgeward.decoders]\nrough = rough:build\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    toml = TOML.replace('decoder = "yolov10"', 'decoder = "plugin"\nname = "rough"')
    error = refused(author, 'frames = ["film.mkv"]', toml)
    assert error.code is Code.BUNDLE_GOLDEN
    assert "was ended by SIGABRT; its last line" in error.what
    assert "out of cheese" in error.what


def test_weights_beside_an_onnx_file_are_refused_by_name(author: Path, tmp_path: Path) -> None:
    model = onnx.load_from_string((author / "model.onnx").read_bytes())
    onnx.save_model(
        model, author / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    error = refused(author, 'frames = ["film.mkv"]')
    assert (error.code, error.where) == (Code.BUNDLE_MANIFEST, f"{author}/bundle.toml: variant[0].file")
    assert (
        error.what == "'model.onnx' keeps weights in another file, 'weights.bin', which is not signed with it"
    )
    # Packed along it is signed; but no engine is shown where it lies.
    assert refused(author, 'frames = ["film.mkv"]\n[[file]]\npath = "weights.bin"\n').what == error.what
