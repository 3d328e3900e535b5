"""Every decoder that a manifest can declare, from a bundle folder and a picture to a known answer."""

from __future__ import annotations

import typing
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from runtime import model
from runtime.bundle import plugins
from runtime.bundle.decoders import Postprocess
from runtime.findings import Findings, Mask
from runtime.inference import Inference
from runtime.ipc import EngineOptions, Result
from runtime.pipeline import Pipeline
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock
from tests import models

from .decoder_cases import BOX, CASES, LABELS, Case, DecoderOfAnother

pytestmark = pytest.mark.unit


def grey() -> Frame:
    width, height = 64, 48
    size = width * height
    return Frame(
        picture=Picture("i420", width, height, "bt601", full_range=False),
        planes=(bytes([90]) * size, bytes([128]) * (size // 4), bytes([128]) * (size // 4)),
        strides=(width, width // 2, width // 2),
        index=5,
        session=2,
        pts_s=1.5,
        arrived_ns=7,
    )


def run(case: Case, folder: Path, batch: str | None = None) -> Result:
    """The result of one grey picture, from the bundle's folder on."""
    inputs = (models.Input(shape=(batch or 1, 3, 32, 32)),)
    more = {} if case.quantisation is None else {"quantisation": case.quantisation}
    outputs = [output | more for output in models.tensors_of(case.answers, batch)]
    made = models.bundle_folder(
        folder,
        models.constant(case.answers, inputs),
        inputs=[models.tensor(given.name, given.dtype, given.shape) for given in inputs],
        outputs=outputs,
        files=case.files,
        labels=case.labels,
        task=case.task,
        postprocess=case.postprocess,
    )
    clock = StageClock()
    loaded = model.load(*made, EngineOptions())
    (result,) = Pipeline(Inference(loaded, clock), clock).process([("cam", grey())])
    return result


@pytest.fixture(autouse=True)
def _another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.installed

    def installed(group: str) -> dict[str, EntryPoint]:
        value = f"{DecoderOfAnother.__module__}:{DecoderOfAnother.__name__}"
        theirs = {"of-another": EntryPoint("of-another", value, plugins.DECODERS)}
        return real(group) | (theirs if group == plugins.DECODERS else {})

    monkeypatch.setattr(plugins, "installed", installed)


def check(case: Case, result: Result) -> None:
    assert (result.status, result.why) == ("detections", "")
    if case.expected is not None:
        check_findings(case.expected, result)
        return
    (found,) = result.detections
    assert found.label == case.label
    assert found.score == pytest.approx(case.score, abs=1e-4)
    assert found.box == pytest.approx(case.box, abs=1e-3)
    assert len(found.keypoints) == len(case.keypoints)
    for point, wanted in zip(found.keypoints, case.keypoints, strict=True):
        assert point.name == wanted.name
        assert (point.x, point.y, point.score) == pytest.approx((wanted.x, wanted.y, wanted.score), abs=1e-3)


def check_findings(expected: Findings, result: Result) -> None:
    assert [found.label for found in result.classes] == [found.label for found in expected.classes]
    scores = [found.score for found in expected.classes]
    assert [found.score for found in result.classes] == pytest.approx(scores)
    assert result.embedding == pytest.approx(expected.embedding)
    assert result.segmentation == expected.segmentation
    assert result.tensors == expected.tensors
    assert result.detections == expected.detections


@pytest.mark.parametrize("name", CASES)
def test_a_decoder_gives_the_known_answer_in_pixels_of_the_picture(name: str, tmp_path: Path) -> None:
    check(CASES[name], run(CASES[name], tmp_path))


@pytest.mark.parametrize(
    "name", ["yolox", "yolov8_seg", "yunet", "classification, quantised", "semantic", "movenet", "tensors"]
)
def test_a_model_for_any_number_of_pictures_gives_the_same(name: str, tmp_path: Path) -> None:
    check(CASES[name], run(CASES[name], tmp_path, batch="batch"))


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("yolov8_seg")])
def test_a_mask_covers_the_half_of_the_box_that_the_model_says(name: str, tmp_path: Path) -> None:
    # Left of the middle 4 * 1 - 2 * 1 > 0, right of it -2 < 0: of the box's 4x4 cells the left 2 columns.
    (found,) = run(CASES[name], tmp_path).detections
    assert found.mask == Mask(BOX, 4, 4, (0, 2, 2, 2, 2, 2, 2, 2, 2))


def test_rows_whose_number_the_model_decides_are_read_as_they_come(tmp_path: Path) -> None:
    answers = np.array([[8, 8, 24, 24, 0.9, 1], [0, 9, 9, 9, 0.9, 0], [4, 4, 8, 8, 0.8, 0]], np.float32)
    made = models.bundle_folder(
        tmp_path,
        models.found_rows(answers),
        outputs=[models.tensor("output", "float32", (1, "n", 6))],
        labels=LABELS,
        postprocess={"decoder": "yolov10"},
    )
    clock = StageClock()
    pipeline = Pipeline(Inference(model.load(*made, EngineOptions()), clock), clock)
    (result,) = pipeline.process([("cam", grey())])
    assert [(found.label, found.box) for found in result.detections] == [
        ("other", BOX),
        ("thing", (8.0, 0.0, 16.0, 8.0)),
    ]


def test_every_declaration_has_a_case_here() -> None:
    declared = {kind.__struct_config__.tag for kind in typing.get_args(Postprocess)}
    assert {str(case.postprocess["decoder"]) for case in CASES.values()} == declared


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.postprocess["decoder"] not in {"tensors", "plugin"}]
)
def test_what_is_not_a_number_is_never_nothing_seen(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    if any(answer.dtype.kind != "f" for answer in case.answers.values()):
        answers = {key: np.full(answer.shape, np.nan, np.float32) for key, answer in case.answers.items()}
    else:
        answers = {key: np.full_like(answer, np.nan) for key, answer in case.answers.items()}
    broken = Case(case.postprocess, answers, labels=case.labels, task=case.task, files=case.files)
    result = run(broken, tmp_path)
    assert result.status == "failed"
    assert "not numbers" in result.why
    assert "[model.run]" in result.why
