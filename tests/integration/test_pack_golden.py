"""``bundle pack`` makes golden frames and results of the author's pictures, the same each time."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from runtime.bundle.pack import pack_bundle
from runtime.bundle.progress import no_progress
from runtime.engine import Array
from runtime.source.frame import Frame

from .golden_author import TOML, make_author, packed, write, write_film

pytestmark = [pytest.mark.integration, pytest.mark.command]

PROJECT = Path(__file__).parents[2]
LISTED = ("a.jpg", "b.png", "c.bmp")


@pytest.fixture
def author(tmp_path: Path) -> Path:
    return make_author(tmp_path / "author")


def luma(frame: Frame) -> Array:
    return np.asarray(frame.planes[0]).reshape(frame.picture.height, frame.picture.width)


def test_pictures_and_frames_of_films_become_golden(author: Path) -> None:
    made = packed(author, 'frames = ["pictures/*", "film.mkv#10,0-4:2"]')
    assert [one.source for one in made.results.frames] == [
        "pictures/a.jpg",
        "pictures/b.png",
        "pictures/c.bmp",
        *(f"film.mkv#{number}" for number in (0, 2, 4, 10)),
    ]
    assert [int(luma(frame)[0, 0]) for frame in made.frames[3:]] == [20, 30, 40, 70]
    assert made.golden.reference == "cpu"
    assert made.golden.count == len(made.frames) == 7
    assert made.manifest.requires == ("golden",)
    assert {entry.path for entry in made.manifest.files if entry.role == "golden"} == {
        *made.golden.frames,
        made.golden.results,
    }
    for frame, found in zip(made.frames, made.results.findings, strict=True):
        (one,) = found.detections
        width, height = frame.picture.width, frame.picture.height
        assert one.box == pytest.approx((width / 4, height / 4, width * 3 / 4, height * 3 / 4))


def test_the_same_folder_gives_the_same_bytes(author: Path) -> None:
    golden = 'frames = ["pictures/*", "film.mkv#3"]'
    first = packed(author, golden).bundle.read_bytes()
    assert packed(author, golden).bundle.read_bytes() == first


def test_each_kind_of_picture_has_a_file_of_its_own(author: Path) -> None:
    made = packed(author, 'frames = ["pictures/*", "film.mkv"]')
    assert len(made.golden.frames) == 3
    kinds = [(frame.picture.width, frame.picture.height, frame.picture.full_range) for frame in made.frames]
    # The BMP loses its odd last column and row.
    assert kinds == [(64, 48, True), (64, 48, True), (50, 34, False), (64, 48, False)]


def test_a_jpeg_s_own_planes_travel(author: Path) -> None:
    made = packed(author, 'frames = ["pictures/a.jpg"]')
    with av.open(str(author / "pictures" / "a.jpg")) as container:
        own = next(container.decode(video=0))
    assert own.format.name == "yuvj420p"
    for plane, sent in zip(own.planes, made.frames[0].planes, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        assert rows.tobytes() == bytes(sent)


@pytest.mark.parametrize("name", ["b.png", "c.bmp"])
def test_a_picture_in_rgb_keeps_its_colours_but_for_the_chroma_s_resolution(author: Path, name: str) -> None:
    from runtime.golden.reference.picture import bgr  # noqa: PLC0415 - beside what it checks

    frame = packed(author, f'frames = ["pictures/{name}"]').frames[0]
    wanted = cv2.imread(str(author / "pictures" / name))[: frame.picture.height, : frame.picture.width]
    # The blocks' edges are where chroma is mixed.
    difference = np.abs(bgr(frame).astype(int) - wanted)[2:6, 2:6]
    assert difference.max() <= 6


def test_a_frame_that_two_entries_name_is_there_once(author: Path) -> None:
    made = packed(author, 'frames = ["pictures/b.png", "pictures/*.png", "film.mkv#1,1", "film.mkv#0-1"]')
    assert [one.source for one in made.results.frames] == ["pictures/b.png", "film.mkv#1", "film.mkv"]


def test_the_score_that_counts_keeps_clear_of_every_threshold(author: Path) -> None:
    second = TOML.replace("[preprocess]", SECOND + "[preprocess]")
    metric = packed(author, 'frames = ["film.mkv"]', second).golden.metric
    assert metric.min_score == pytest.approx(0.6)  # type: ignore[union-attr]
    mine = 'frames = ["film.mkv"]\n[golden.metric]\ncompare = "detections"\nmin_score = 0.2\nmin_iou = 0.5\n'
    metric = packed(author, mine).golden.metric
    assert (metric.min_score, metric.min_iou) == (0.2, 0.5)  # type: ignore[union-attr]


SECOND = """\
[[variant]]
id = "full"
engine = "onnxruntime"
file = "model.onnx"
precision = "float16"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 32, 32] }]
output = [{ name = "output", dtype = "float32", shape = [1, 5, 6] }]
postprocess = { decoder = "yolov10", score_threshold = 0.5 }

"""


@pytest.mark.parametrize(("reference", "chosen"), [("", "cpu"), ('reference = "full"\n', "full")])
def test_the_first_variant_of_float32_answers_unless_another_is_named(
    author: Path, reference: str, chosen: str
) -> None:
    second = TOML.replace("[[variant]]", SECOND + "[[variant]]", 1)
    assert packed(author, reference + 'frames = ["film.mkv"]', second).golden.reference == chosen


def test_nothing_is_left_behind(author: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    packed(author, 'frames = ["film.mkv"]')
    assert not list(scratch.iterdir())

    def interrupt(*done: Any, unit: str = "bytes") -> None:
        if unit == "frames":
            raise KeyboardInterrupt

    write(author, 'frames = ["film.mkv#0-9"]')
    with pytest.raises(KeyboardInterrupt):
        pack_bundle(author, tmp_path / "y.ewb", progress=interrupt)
    assert not list(scratch.iterdir())
    assert not (tmp_path / "y.ewb").exists()


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_ended_leaves_nothing(author: Path, tmp_path: Path, ends: signal.Signals) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    write_film(author / "large.mkv", 40, 720, 1280)
    write(author, 'frames = ["large.mkv#0-39"]')
    words = ["bundle", "pack", str(author), "--out", str(tmp_path / "x.ewb")]
    environment = os.environ | {"TMPDIR": str(scratch)}
    with subprocess.Popen(
        [sys.executable, "-m", "agent.cli.main", *words], env=environment, stderr=subprocess.PIPE
    ) as child:
        while child.poll() is None and not list(scratch.glob("*/golden/*.y4m")):
            time.sleep(0.01)  # there is no event to wait for: the command is another process
        child.send_signal(ends)
        child.communicate()
    assert child.returncode == 128 + ends
    assert not list(scratch.iterdir())
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "x"))] == []


def test_where_and_in_what_language_it_is_packed_does_not_matter(author: Path, tmp_path: Path) -> None:
    write(author, 'frames = ["pictures/*", "film.mkv#3"]')
    first = command("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    elsewhere = os.environ | {
        "LC_ALL": "tr_TR.UTF-8",
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "77",
        "PYTHONPATH": str(PROJECT),
    }
    words = [sys.executable, "-m", "agent.cli.main", "bundle", "pack", ".", "--out", "../y.ewb"]
    subprocess.run(words, check=True, env=elsewhere, cwd=author, capture_output=True)
    assert first.returncode == 0
    assert (tmp_path / "x.ewb").read_bytes() == (tmp_path / "y.ewb").read_bytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """As phones do: Exif's tag 0x0112 in a segment of its own (Exif 2.32, 4.6.2)."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_that_is_stored_turned_is_turned_upright(author: Path, orientation: int) -> None:
    from runtime.golden.reference.picture import bgr  # noqa: PLC0415 - beside what it checks

    path = author / "pictures" / "turned.jpg"
    path.write_bytes(with_orientation((author / "pictures" / "a.jpg").read_bytes(), orientation))
    # OpenCV's reader, which authors' scripts use, turns it as well.
    upright = cv2.imread(str(path))
    made = bgr(packed(author, 'frames = ["pictures/turned.jpg"]').frames[0])
    assert made.shape == upright.shape
    assert np.abs(made.astype(int) - upright).mean() < 12


def test_a_pattern_does_not_mean_what_file_managers_leave_behind(author: Path) -> None:
    (author / "pictures" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    made = packed(author, 'frames = ["pictures/*"]')
    assert [one.source for one in made.results.frames] == [f"pictures/{name}" for name in LISTED]


def test_the_results_name_what_made_them(author: Path) -> None:
    made_by = packed(author, 'frames = ["film.mkv"]').results.made_by
    assert made_by["opencv"] == cv2.__version__
    assert (made_by["numpy"], made_by["pyav"]) == (np.__version__, av.__version__)
    assert made_by["engine"].startswith("onnxruntime ")


def test_progress_tells_of_every_frame(author: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def hear(doing: str, done: int, total: int, *, unit: str = "bytes") -> None:
        no_progress(doing, done, total)
        if unit == "frames":
            told.append((doing, done, total))

    write(author, 'frames = ["film.mkv#0-2"]')
    pack_bundle(author, author.parent / "x.ewb", progress=hear)
    assert told == [(doing, done, 3) for doing in ("decoding", "asking cpu") for done in range(3)]


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "agent.cli.main", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, env=os.environ, check=False)


def test_the_command_sums_up_and_its_json_is_clean(author: Path, tmp_path: Path) -> None:
    write(author, 'frames = ["film.mkv#0-2", "pictures/c.bmp"]')
    told = command("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    # On a busy machine there are lines of progress.
    assert (told.returncode, "warning" in told.stderr) == (0, False)
    assert "golden     4 frames, 4 findings, 0 frames with none; by 'cpu' on onnxruntime" in told.stdout
    document = json.loads(command("bundle", "pack", author, "--out", tmp_path / "x.ewb", "--json").stdout)
    golden = document["golden"]
    assert (golden["frames"], golden["findings"], golden["empty_frames"]) == (4, 4, 0)
    assert not golden["alike"]
    assert golden["reference"] == "cpu"
    assert golden["engine"].startswith("onnxruntime 1.")


@pytest.mark.parametrize("frames", ["film.mkv", "film.mkv#0-9"])
def test_frames_that_are_all_answered_alike_are_a_warning(author: Path, tmp_path: Path, frames: str) -> None:
    write(author, f'frames = ["{frames}"]')
    told = command("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    assert told.returncode == 0
    assert "warning: a model that is stuck, and answers always the same, would pass" in told.stderr


def test_a_reference_that_is_not_float32_is_a_warning(author: Path, tmp_path: Path) -> None:
    write(author, 'frames = ["film.mkv"]', TOML.replace("file =", 'precision = "int8"\nfile ='))
    told = command("bundle", "pack", author, "--out", tmp_path / "x.ewb")
    assert told.returncode == 0
    assert "golden results come from 'cpu', which is int8" in told.stderr
