"""A real model on real footage gives what an independent script gives: from a file, over RTSP, as H.265."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from bench import opencv_way
from examples.conveyor.score import overlap
from examples.rtsp.access_units import encode_access_units, read_aus, write_access_units
from tests.cameras import Cameras
from tests.conftest import ROOT, Signed

pytestmark = pytest.mark.integration

Picture = npt.NDArray[np.uint8]
Found = list[tuple[int, float, tuple[float, float, float, float]]]
FPS = 10
RTSP_FRAMES = 500
RTSP_SPEED = 2.5
LOWER, THRESHOLD = 0.30, 0.35
MIN_IOU, MAX_SCORE_OFF, MIN_AGREEING = 0.95, 0.03, 0.99


@pytest.fixture(scope="module")
def film(test_data: Path) -> Path:
    return test_data / "videos" / "one-by-one-person-detection.mp4"


def pictures_of_file(path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="yuv420p")


def pictures_of_recording(path: Path) -> Iterator[Picture]:
    header, units = read_aus(path)
    decoder = av.CodecContext.create("hevc" if header["codec"] == "h265" else "h264", "r")
    for unit in units:
        for frame in decoder.decode(av.Packet(unit.data)):
            yield frame.to_ndarray(format="yuv420p")
    for frame in decoder.decode(None):
        yield frame.to_ndarray(format="yuv420p")


def reference(model: Path, pictures: Iterator[Picture]) -> list[Found]:
    """What OpenCV, onnxruntime and NumPy say: (class, score, box in the picture), frame by frame.

    ``pictures`` are the decoded frames as they are, I420 ``[H * 3 / 2, W]``; OpenCV makes BGR of them, small
    pictures, and boxes.
    """
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    decode = opencv_way.YoloxDecode(416)
    frames = []
    for picture in pictures:
        height, width = picture.shape[0] * 2 // 3, picture.shape[1]
        ratio = min(416 / width, 416 / height)
        (output,) = session.run(None, {"images": opencv_way.colour_first(picture, 416)})
        boxes, scores, classes = decode(output[0], LOWER, 0.45)
        boxes = np.clip(boxes / ratio, 0, [width, height] * 2)
        frames.append(
            [(int(c), float(s), tuple(b.tolist())) for b, s, c in zip(boxes, scores, classes, strict=True)]
        )
    return frames


def run(yolox: Signed, source: str, labels: list[str]) -> dict[int, Found]:
    """What ``edgeward run`` says, by frame number."""
    command = [sys.executable, "-m", "agent.cli.main", "run", "--bundle", str(yolox.bundle)]
    command += ["--key", str(yolox.key), "--source", source, "--score-threshold", str(LOWER), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    speed = RTSP_SPEED if "://" in source else 1
    frames: dict[int, Found] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if line["type"] == "result":
            assert line["status"] == "detections", line
            index = round((line["pts_s"] or 0.0) * FPS * speed)
            assert index not in frames, "two results for one frame"
            frames[index] = [
                (labels.index(one["label"]), one["score"], tuple(one["box"])) for one in line["detections"]
            ]
    return frames


def agreeing(ours: Found, theirs: Found) -> tuple[int, int]:
    """Of our detections above the threshold: how many the other side has as well, of how many."""
    asked = [one for one in ours if one[1] >= THRESHOLD]
    hits = 0
    for label, score, box in asked:
        same = [other for other in theirs if other[0] == label and abs(other[1] - score) <= MAX_SCORE_OFF]
        hits += bool(same) and overlap(box, [other[2] for other in same]).max() >= MIN_IOU
    return hits, len(asked)


def assert_agreement(ours: dict[int, Found], theirs: list[Found], least_frames: int, least: int) -> None:
    assert len(ours) >= least_frames, f"only {len(ours)} frames were looked at"
    there = np.sum([agreeing(found, theirs[index]) for index, found in ours.items()], axis=0)
    back = np.sum([agreeing(theirs[index], found) for index, found in ours.items()], axis=0)
    assert back[1] >= least, "the reference found too little for the comparison to mean anything"
    agreed = f"{there[0]} of {there[1]} of ours, {back[0]} of {back[1]} of theirs"
    assert there[0] >= MIN_AGREEING * there[1], agreed
    assert back[0] >= MIN_AGREEING * back[1], agreed


@pytest.fixture(scope="module")
def labels(test_data: Path) -> list[str]:
    return (test_data / "models" / "coco.names").read_text().split("\n")


@pytest.fixture(scope="module")
def of_film(yolox: Signed, film: Path) -> list[Found]:
    return reference(yolox.model, pictures_of_file(film))


def test_a_file_gives_what_the_independent_script_gives(
    yolox: Signed, film: Path, labels: list[str], of_film: list[Found]
) -> None:
    ours = run(yolox, str(film), labels)
    assert sorted(ours) == list(range(len(of_film))), "every frame of a file is looked at, once"
    assert_agreement(ours, of_film, 1394, 500)


def stream(recording: Path, yolox: Signed, labels: list[str]) -> dict[int, Found]:
    with Cameras({"cam": recording}, "--once", "--speed", str(RTSP_SPEED)) as cameras:
        return run(yolox, cameras.url("cam"), labels)


def test_rtsp_gives_what_the_independent_script_gives(
    yolox: Signed, film: Path, labels: list[str], of_film: list[Found], tmp_path: Path
) -> None:
    recording = tmp_path / "film.aus"
    frames = write_access_units(film, recording, RTSP_FRAMES)
    ours = stream(recording, yolox, labels)
    assert_agreement(ours, of_film, frames * 9 // 10, 100)


def test_h265_over_rtsp_gives_what_the_independent_script_gives(
    yolox: Signed, film: Path, labels: list[str], tmp_path: Path
) -> None:
    recording = tmp_path / "film.aus"
    pictures = (
        cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420)
        for picture in itertools.islice(pictures_of_file(film), RTSP_FRAMES)
    )
    frames = encode_access_units(pictures, recording, codec="h265", fps=Fraction(FPS))
    ours = stream(recording, yolox, labels)
    assert_agreement(ours, reference(yolox.model, pictures_of_recording(recording)), frames * 9 // 10, 100)


def test_the_summary_names_codec_and_counts(yolox: Signed, film: Path) -> None:
    command = [sys.executable, "-m", "agent.cli.main", "run", "--bundle", str(yolox.bundle), "--key"]
    command += [str(yolox.key), "--source", str(film), "--max-frames", "20", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert summary["type"] == "summary"
    assert (summary["codec"], summary["width"], summary["height"]) == ("h264", 768, 432)
    assert summary["results"] == 20
    assert summary["decoded"] == 20 + sum(summary["dropped"].values())
