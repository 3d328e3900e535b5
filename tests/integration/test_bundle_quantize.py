"""``bundle quantize`` on the conveyor model: smaller, and as good on belts that nobody showed it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
import pytest

from examples.conveyor.dataset import TRAINING_SEEDS
from examples.conveyor.detect import MODEL, Reference
from examples.conveyor.footage import write_footage
from examples.conveyor.render import Scene
from examples.conveyor.score import Score, score
from examples.rtsp.access_units import decode_access_units
from runtime.errors import ExitStatus

pytestmark = [pytest.mark.integration, pytest.mark.command]

ROOT = Path(__file__).resolve().parents[2]
CALIBRATE, UNSEEN = range(1200, 1204), range(9000, 9002)
FRAMES, FPS = 40, 5  # a third of the demo's rate, so that three times as many parts come by


def edgeward(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "agent.cli.main", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def write_film(path: Path, seeds: Sequence[int], frames: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for seed in seeds:
            scene = Scene(seed, 1280, 720, fps=FPS)
            for index in range(frames):
                image, _ = scene.frame(index)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def on_unseen_belts(model: Path, work: Path) -> Score:
    reference = Reference(model)
    frames = []
    for seed in UNSEEN:
        path = work / f"{seed}.aus"
        truths = write_footage(path, seed=seed, codec="h264", frames=FRAMES, fps=FPS)
        found = [reference.detect(image, threshold=0.05) for image in decode_access_units(path)]
        frames += list(zip(found, truths, strict=True))
    return score(frames, threshold=0.5)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "belt.mp4", CALIBRATE, 16)


@pytest.fixture
def golden_folder(tmp_path: Path) -> Path:
    """The conveyor model's own folder, golden frames and all."""
    return Path(shutil.copytree(MODEL.parent, tmp_path / "conveyor"))


@pytest.fixture
def folder(golden_folder: Path) -> Path:
    """The same without golden frames."""
    toml = golden_folder / "bundle.toml"
    head, _, golden = toml.read_text().partition("[golden]\n")
    _, bracket, rest = golden.partition("\n[")
    toml.write_text(head + bracket.lstrip() + rest)
    return golden_folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def quantised(folder: Path, *options: object) -> dict[str, Any]:
    done = edgeward("bundle", "quantize", folder, "--json", *options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_int8_finds_on_unseen_belts_what_float32_finds(folder: Path, film: Path, tmp_path: Path) -> None:
    assert not (set(UNSEEN) | set(CALIBRATE)) & set(TRAINING_SEEDS)
    before = (folder / "bundle.toml").read_text()
    report = quantised(folder, "--calibrate", film)
    assert report["judged"] == {"frames": 16, "golden": False, "calibrated": 48, "apart": True}
    assert report["kept"]["value"] >= 0.95
    assert report["figures"]["mean_iou"] >= 0.85
    assert set(report["latency_ms"]) == {"onnx-float32", "onnx-int8"}
    assert report["bytes"]["onnx-int8"] < report["bytes"]["onnx-float32"] / 2
    int8 = folder / report["file"]
    float32_map, int8_map = (on_unseen_belts(model, tmp_path).mean_ap for model in (MODEL, int8))
    assert abs(float32_map - int8_map) <= 0.02, (float32_map, int8_map)

    text = (folder / "bundle.toml").read_text()
    assert text.startswith(before)
    assert report["kept"]["why"] in text.removeprefix(before).replace("\n# ", " ")
    added = tomllib.loads(text)["variant"][1]
    assert (added["id"], added["precision"], added["file"]) == ("onnx-int8", "int8", int8.name)


def test_the_golden_frames_judge_it_where_there_are_any_and_both_speeds_are_shown(
    golden_folder: Path, film: Path, tmp_path: Path
) -> None:
    folder = golden_folder
    count = len(list((folder / "golden").iterdir()))
    done = edgeward("bundle", "quantize", folder, "--calibrate", film, "--frames", 24)
    assert done.returncode == 0, done.stderr
    assert f", on {count} golden frames" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  onnx-")]
    assert [row[0] for row in rows] == ["onnx-float32", "onnx-int8"]
    assert all(float(row[1]) > 0 for row in rows)
    for arguments in (
        ["keys", "generate", "--out", tmp_path / "release"],
        ["bundle", "pack", folder, "--out", tmp_path / "x.ewb"],
        ["bundle", "sign", tmp_path / "x.ewb", "--key", tmp_path / "release.key"],
    ):
        step = edgeward(*arguments)
        assert step.returncode == 0, step.stderr
    run = ("run", "--bundle", tmp_path / "x.ewb", "--key", tmp_path / "release.pub", "--source", film)
    ran = edgeward(*run, "--variant", "onnx-int8", "--max-frames", 5)
    assert ran.returncode == 0, ran.stderr
    assert any(json.loads(line)["detections"] for line in ran.stdout.splitlines())


def test_one_that_loses_too_much_is_refused_with_figures_and_changes_nothing(
    tmp_path: Path, test_data: Path
) -> None:
    # A real one: of YOLOX-Nano's depthwise layers nothing good is left in eight bits a tensor.
    folder, models = tmp_path / "nano", test_data / "models"
    labels = ("--labels", models / "coco.names")
    assert edgeward("bundle", "init", models / "yolox_nano.onnx", "--out", folder, *labels).returncode == 0
    before = contents(folder)
    pictures = test_data / "images"
    refused = edgeward("bundle", "quantize", folder, "--calibrate", pictures, "--frames", 8, "--json")
    assert refused.returncode == ExitStatus.ACCURACY, refused.stderr
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert error["code"] == "model.accuracy"
    assert "(at least 0.9)" in error["what"]
    assert "nothing was changed" in error["what"]
    assert contents(folder) == before


def test_frames_in_which_nothing_is_seen_judge_nothing(folder: Path, tmp_path: Path, test_data: Path) -> None:
    before = contents(folder)
    refused = edgeward("bundle", "quantize", folder, "--calibrate", test_data / "images" / "cat.bmp")
    assert refused.returncode == ExitStatus.USAGE
    assert "give 4 at least" in refused.stderr
    gray = tmp_path / "gray"
    gray.mkdir()
    for number in range(4):
        cv2.imwrite(str(gray / f"{number}.png"), np.full((72, 128, 3), 90 + number, np.uint8))
    refused = edgeward("bundle", "quantize", folder, "--calibrate", gray)
    assert refused.returncode == ExitStatus.USAGE, refused.stderr
    assert "nothing was found that scores 0.6" in refused.stderr
    assert contents(folder) == before


def test_ended_from_outside_it_leaves_nothing(folder: Path, film: Path, tmp_path: Path) -> None:
    before = contents(folder)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-P", "-m", "agent.cli.main", "bundle", "quantize", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)}
    with subprocess.Popen(
        [*command, "--calibrate", str(film)], env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline(), "it ended before it said how far it is"
        tool = psutil.Process(running.pid).children()
        assert len(tool) == 1
        running.terminate()
        assert running.wait(20) == ExitStatus.TERMINATED
    assert psutil.wait_procs(tool, timeout=20)[1] == []
    assert list(scratch.iterdir()) == []
    assert contents(folder) == before
