"""The reference path gives the known answer of every decoder, and what devices give of random outputs."""

from __future__ import annotations

import typing
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from runtime import model
from runtime.bundle import plugins
from runtime.bundle.decoders import Postprocess
from runtime.bundle.metrics import Metric, metrics
from runtime.engine import Array
from runtime.findings import Findings
from runtime.golden.compare import compare
from runtime.golden.reference.model import Reference
from runtime.inference import Inference, View
from runtime.ipc import EngineOptions
from runtime.stages import StageClock
from tests import models
from tests.unit.vision.decoder_cases import CASES, Case, DecoderOfAnother
from tests.unit.vision.test_every_decoder_through_its_manifest import grey

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.installed

    def installed(group: str) -> dict[str, EntryPoint]:
        value = f"{DecoderOfAnother.__module__}:{DecoderOfAnother.__name__}"
        theirs = {"of-another": EntryPoint("of-another", value, plugins.DECODERS)}
        return real(group) | (theirs if group == plugins.DECODERS else {})

    monkeypatch.setattr(plugins, "installed", installed)


class Both(typing.NamedTuple):
    """What the reference path and the device's path find in a grey picture, and the metric for that."""

    reference: Findings
    found: Findings
    metric: type[Metric]


def both(case: Case, answers: typing.Mapping[str, Array], folder: Path) -> Both:
    more = {} if case.quantisation is None else {"quantisation": case.quantisation}
    made = models.bundle_folder(
        folder,
        models.constant(answers),
        outputs=[output | more for output in models.tensors_of(answers)],
        files=case.files,
        labels=case.labels,
        task=case.task,
        postprocess=case.postprocess,
    )
    loaded = model.load(*made, EngineOptions())
    reference = Reference(loaded.manifest, loaded.variant, loaded.read, where="made")
    (found,) = Inference(loaded, StageClock()).look([View(grey(), "cam")])
    assert isinstance(found, Findings), found
    return Both(reference.look(grey()), found, metrics(case.task, loaded.postprocess)[0])


def check(case: Case, found: Findings) -> None:
    if case.expected is None:
        (one,) = found.detections
        assert (one.label, len(one.keypoints)) == (case.label, len(case.keypoints))
        assert one.score == pytest.approx(case.score, abs=1e-4)
        assert one.box == pytest.approx(case.box, abs=1e-3)
        for point, wanted in zip(one.keypoints, case.keypoints, strict=True):
            assert point.name == wanted.name
            assert (point.x, point.y, point.score) == pytest.approx(
                (wanted.x, wanted.y, wanted.score), abs=1e-3
            )
        return
    assert [one.label for one in found.classes] == [one.label for one in case.expected.classes]
    scores = [one.score for one in case.expected.classes]
    assert [one.score for one in found.classes] == pytest.approx(scores)
    assert found.embedding == pytest.approx(case.expected.embedding)
    assert found.segmentation == case.expected.segmentation
    assert found.tensors == case.expected.tensors


@pytest.mark.parametrize("name", CASES)
def test_every_decoder_gives_the_known_answer(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    reference, found, _ = both(case, case.answers, tmp_path)
    check(case, reference)
    for one, two in zip(reference.detections, found.detections, strict=True):
        assert one.mask == two.mask


def test_every_declaration_is_decoded() -> None:
    declared = {kind.__struct_config__.tag for kind in typing.get_args(Postprocess)}
    assert {str(case.postprocess["decoder"]) for case in CASES.values()} == declared


RANDOM = [
    name for name in CASES if "plugin" not in name and "indices" not in name and "embedding" not in name
]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", RANDOM)
def test_of_random_outputs_both_paths_make_the_same(name: str, seed: int, tmp_path: Path) -> None:
    case = CASES[name]
    rng = np.random.default_rng(seed)
    answers = {}
    for key, answer in case.answers.items():
        noise = rng.normal(0, 1.0 if answer.dtype.kind == "f" else 30, answer.shape)
        answers[key] = (answer + noise * (rng.random(answer.shape) < 0.5)).astype(answer.dtype)
    if name == "ssd_postprocessed":
        answers["classes"] = rng.integers(0, 2, (1, 3)).astype(np.float32)
        answers["count"] = np.array([3], np.float32)
    if name.startswith("yolov10"):
        answers["output"][..., 5] = rng.integers(0, 2, (1, 5))
    reference, found, metric = both(case, answers, tmp_path)
    exact = {
        "detections": {
            "iou": 0.999,
            "score_tolerance": 1e-4,
            "min_matched": 1.0,
            "min_iou": 0.999,
            "max_keypoint_distance": 1e-4,
            "min_mask_iou": 0.999,
        },
        "classes": {"top_k": 1, "score_tolerance": 1e-4, "min_matched": 1.0},
        "tensors": {"atol": 1e-5, "rtol": 1e-5, "min_share": 1.0},
        "cells": {"min_share": 1.0},
        "vectors": {"min_cosine": 0.999999},
    }[str(metric.__struct_config__.tag)]
    if reference == Findings():
        assert found == reference
        return
    agreement = compare([reference], [found], metric(**exact))  # type: ignore[arg-type]
    assert agreement.passed, agreement.why
