"""``bundle init`` on real models: what it drafts packs, signs and finds the right thing on a real picture."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.bundle.author import Author, load
from runtime.bundle.strict import convert
from runtime.errors import ExitStatus
from tests.integration import real_models as real
from tests.integration.real_models import RealModel

pytestmark = [pytest.mark.integration, pytest.mark.command]

ROOT = Path(__file__).resolve().parents[2]


def edgeward(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "agent.cli.main", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


class Drafted(NamedTuple):
    """A real model, the options it is drafted with, a picture, and what must be found in it.

    ``like``: the manifest that people wrote for it, whose preprocessing and decoder the draft must have.
    """

    model: str
    options: tuple[str, ...]
    picture: str
    found: dict[str, int]
    like: RealModel | None
    best: str = ""


COCO = ("--labels", "coco.names")
MODELS = [
    Drafted("yolox_nano.onnx", COCO, "cat_720p.jpg", {"cat": 1}, real.YOLOX_ONNX),
    Drafted("FastestDet.onnx", COCO, "cat_720p.jpg", {"cat": 1}, real.FASTESTDET),
    Drafted("version-RFB-320.onnx", (), "face.jpg", {"face": 4}, real.ULTRAFACE),
    Drafted("ssd_mobilenet.tflite", ("--labels", "ssd_mobilenet.txt"), "cat_720p.jpg", {"cat": 1}, real.SSD),
    Drafted(
        "mobilenet_v2_1.0_224_quant.tflite", (), "grace_hopper.bmp", {}, real.MOBILENET, "military uniform"
    ),
    Drafted("yunet_n_dynamic.onnx", ("--size", "640x480"), "face.jpg", {"face": 4}, None),
    # Nobody can know whether Caffe's mean was subtracted from its pictures: either way it knows the kitten.
    Drafted("SqueezeNet_fp16.onnx", ("--labels", "Labels.json"), "kitten_224.png", {}, None, "tabby"),
    Drafted("yolox_nano_float16_quantize.tflite", COCO, "cat_720p.jpg", {"cat": 1}, real.YOLOX_TFLITE),
]


def assert_like(folder: Path, model: RealModel) -> None:
    """Preprocessing, decoder and tensors are those of a manifest that was written by hand."""
    text = f'[bundle]\nname = "x"\nversion = "1.0.0"\nrelease_counter = 1\nlabels = ["x"]\n{model.manifest}'
    wanted = convert(tomllib.loads(text.replace("FILE", model.file)), Author)
    drafted = load(folder)
    assert drafted.preprocess == wanted.preprocess
    assert type(drafted.postprocess) is type(wanted.postprocess)
    assert drafted.variants[0].inputs == wanted.variants[0].inputs
    assert drafted.variants[0].outputs == wanted.variants[0].outputs
    assert drafted.variants[0].precision == wanted.variants[0].precision


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.model)
def test_a_real_model_is_drafted_and_finds_the_right_thing_without_an_edit(
    case: Drafted, tmp_path: Path, test_data: Path
) -> None:
    models = test_data / "models"
    options = [str(models / each) if (models / each).is_file() else each for each in case.options]
    done = edgeward(
        "bundle", "init", models / case.model, "--out", "draft", *options, "--json", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    if case.like is not None:
        assert_like(tmp_path / "draft", case.like)
    for arguments in (
        ["keys", "generate", "--out", "release"],
        ["bundle", "pack", "draft", "--out", "x.ewb"],
        ["bundle", "sign", "x.ewb", "--key", "release.key"],
    ):
        step = edgeward(*arguments, folder=tmp_path)
        assert step.returncode == 0, step.stderr
    ran = edgeward(
        *("run", "--bundle", "x.ewb", "--key", "release.pub", "--source"),
        test_data / "images" / case.picture,
        folder=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout.splitlines()[0])
    labels = [one["label"] for one in result.get("detections", [])]
    for label, count in case.found.items():
        assert labels.count(label) == count, labels
    if case.best:
        assert case.best in result["classes"][0]["label"]


def test_what_the_file_does_not_say_is_said_in_the_summary(tmp_path: Path, test_data: Path) -> None:
    done = edgeward("bundle", "init", test_data / "models" / "yunet_n_dynamic.onnx", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "height = 640, width = 640; the file leaves them open" in done.stdout.replace("\n     ", " ")
    assert (tmp_path / "yunet_n_dynamic" / "bundle.toml").is_file()
    again = edgeward("bundle", "init", test_data / "models" / "yunet_n_dynamic.onnx", folder=tmp_path)
    assert again.returncode == ExitStatus.USAGE
    assert "name a folder that does not exist yet" in again.stderr


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("model_invoking_error.tflite", "unresolved custom op"),
        ("person_detect.tflite", "quantized_dimension"),
    ],
)
def test_a_model_that_its_engine_refuses_is_refused_with_the_engines_words(
    model: str, said: str, tmp_path: Path, test_data: Path
) -> None:
    done = edgeward("bundle", "init", test_data / "models" / model, folder=tmp_path)
    assert done.returncode == ExitStatus.MODEL
    assert said in done.stderr
    assert done.stderr.strip().endswith("[model.load]")
    assert list(tmp_path.iterdir()) == []


def test_a_tool_that_is_killed_is_an_error_and_not_a_hang(tmp_path: Path, test_data: Path) -> None:
    # An engine that aborts its process, as real ones do, stands in for a package of that name.
    package = tmp_path / "site" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGABRT)\n")
    command = [sys.executable, "-P", "-c", "import sys; from agent.cli.main import main; sys.exit(main())"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}"}
    model = test_data / "models" / "yolox_nano.onnx"
    done = subprocess.run(
        [*command, "bundle", "init", str(model), "--out", str(tmp_path / "out")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitStatus.MODEL, done.stderr
    assert signal.SIGABRT.name in done.stderr
    assert not (tmp_path / "out").exists()
