"""``edgeward run`` with real models that do more than detect, on tiles, and one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import Code
from tests.conftest import ROOT, Signed
from tests.integration import real_models

pytestmark = [pytest.mark.integration, pytest.mark.command]


@pytest.fixture(scope="module")
def faces(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return real_models.ULTRAFACE.signed(tmp_path_factory.mktemp("faces"), test_data / "models")


@pytest.fixture(scope="module")
def things(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return real_models.SQUEEZENET.signed(tmp_path_factory.mktemp("things"), test_data / "models")


def run(bundle: Signed, picture: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli.main", "run", "--bundle", bundle.bundle, "--key", bundle.key]
    return subprocess.run(
        [*map(str, (*command, "--source", picture, *options))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def documents(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def inside(inner: list[float], outer: list[float], margin: float = 2) -> bool:
    return (
        inner[0] >= outer[0] - margin
        and inner[1] >= outer[1] - margin
        and inner[2] <= outer[2] + margin
        and inner[3] <= outer[3] + margin
    )


def test_a_classifier_prints_its_classes_and_no_detections(things: Signed, test_data: Path) -> None:
    result, summary = documents(run(things, test_data / "images" / "kitten_224.png", "--json"))
    assert "tabby" in result["classes"][0]["label"]
    assert result["classes"][0]["score"] > 0.9
    assert "detections" not in result
    assert (summary["task"], summary["variant"]) == ("classification", "onnx")
    assert (summary["classifications"], summary["detections"]) == (1, 0)
    done = run(things, test_data / "images" / "kitten_224.png")
    assert "1 results, 1 classifications (last: " in done.stderr


def test_bundles_that_follow_look_at_what_the_first_one_found(
    yolox: Signed, faces: Signed, things: Signed, test_data: Path
) -> None:
    then = ("--then", faces.bundle, "--key", faces.key, "--then", things.bundle, "--key", things.key)
    result, _ = documents(run(yolox, test_data / "images" / "face.jpg", *then, "--json"))
    people = [one for one in result["detections"] if one["label"] == "person"]
    assert len(people) >= 3
    for person in people:
        found = {one["stage"]: one for one in person["inside"]}
        assert list(found) == ["version-rfb-320", "squeezenet_fp16"]
        assert len(found["squeezenet_fp16"]["classes"]) == 5
        for face in found["version-rfb-320"]["detections"]:
            assert inside(face["box"], person["box"]), "in pixels of the whole picture"
    assert all(one["inside"][0]["detections"][0]["score"] > 0.9 for one in people[:2])


def test_tiles_find_the_same_faces_once(faces: Signed, test_data: Path) -> None:
    options = ("--tiles", "2x1", "--tile-overlap", "0.3", "--json")
    result, _ = documents(run(faces, test_data / "images" / "face.jpg", *options))
    assert len(result["detections"]) == 4


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--variant", "int8"), Code.ENGINE_UNAVAILABLE, "no variant 'int8'"),
        (("--provider", "warp-drive"), Code.ENGINE_UNAVAILABLE, "warp-drive"),
        (("--then", "none.ewb"), Code.BUNDLE_MISSING, "none.ewb"),
        (("--tiles", "1x1"), Code.USAGE, "at least two tiles"),
        (("--tiles", "17x1"), Code.USAGE, "'17x1' is not COLSxROWS"),
        (("--tiles", "2"), Code.USAGE, "'2' is not COLSxROWS"),
        (("--tiles", "2x1", "--tile-overlap", "0.6"), Code.USAGE, "between 0 and 0.5"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_why(
    faces: Signed, test_data: Path, options: tuple[str, ...], code: Code, said: str
) -> None:
    done = run(faces, test_data / "images" / "face.jpg", *options)
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("edgeward: ")]
    assert f"[{code.text}]" in told
    assert said in told
    assert done.returncode == code.exit_status


def test_a_classifier_has_no_boxes_to_tile_or_to_look_into(
    things: Signed, faces: Signed, test_data: Path
) -> None:
    for options in (("--tiles", "2x2"), ("--then", str(faces.bundle), "--key", str(faces.key))):
        done = run(things, test_data / "images" / "face.jpg", *options)
        assert done.returncode == Code.BUNDLE_UNSUPPORTED.exit_status, done.stderr
        assert "needs boxes" in done.stderr
