"""Real models run from their manifests alone, and say what scripts say that know nothing of edgeward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime import model
from runtime.findings import Detection
from runtime.inference import Inference
from runtime.ipc import EngineOptions, Result
from runtime.pipeline import Pipeline
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock
from tests.integration import real_models as real
from tests.integration import real_references as scripts
from tests.integration.real_models import RealModel
from tests.integration.real_references import Array, Box

pytestmark = [pytest.mark.integration, pytest.mark.command]

SCORE, IOU = 0.03, 0.9


def result_of(made: RealModel, work: Path, models: Path, bgr: Array) -> Result:
    loaded = model.load(*made.folder(work, models), EngineOptions())
    clock = StageClock()
    pipeline = Pipeline(Inference(loaded, clock), clock)
    height, width = bgr.shape[:2]
    frame = Frame(
        picture=Picture("bgr24", width, height, "bt601", full_range=True),
        planes=(bgr,),
        strides=(width * 3,),
        index=0,
        session=0,
        pts_s=None,
        arrived_ns=0,
    )
    (result,) = pipeline.process([("picture", frame)])
    assert result.status == "detections", result.why
    return result


def picture(test_data: Path, name: str) -> Array:
    bgr = cv2.imread(str(test_data / "images" / name))
    assert bgr is not None, name
    return np.ascontiguousarray(bgr)


def same(found: Detection, expected: Box, *, score: float, iou: float) -> bool:
    return (
        found.label == expected.label
        and abs(found.score - expected.score) <= score
        and scripts.overlap(found.box, expected.box) >= iou
    )


def missing_from(found: list[Detection], expected: list[Box], threshold: float) -> list[Box]:
    """Boxes clearly over the threshold that nobody else has."""
    return [
        box
        for box in expected
        if box.score > threshold + SCORE and not any(same(one, box, score=SCORE, iou=IOU) for one in found)
    ]


Reference = Callable[[Path, Array, list[str]], list[Box]]

DETECTORS: dict[str, tuple[RealModel, Reference, float, dict[str, int]]] = {
    "yolox onnx": (
        real.YOLOX_ONNX,
        scripts.yolox_reference(scripts.run_onnx),
        0.35,
        {"cat_720p.jpg": 1, "test_object_detection_0.jpg": 1},
    ),
    "yolox tflite": (
        real.YOLOX_TFLITE,
        scripts.yolox_reference(scripts.run_tflite),
        0.35,
        {"cat_720p.jpg": 1, "test_object_detection_0.jpg": 1},
    ),
    "fastestdet": (real.FASTESTDET, scripts.fastestdet_reference, 0.65, {"test_object_detection_0.jpg": 1}),
    "ultraface": (real.ULTRAFACE, scripts.ultraface_reference, 0.7, {"face.jpg": 4, "cat.bmp": 0}),
    "yunet 320": (
        real.yunet(320, 320),
        scripts.yunet_reference(320, 320),
        0.6,
        {"face.jpg": 1, "cat.bmp": 0},
    ),
    "yunet 480x640": (
        real.yunet(480, 640),
        scripts.yunet_reference(480, 640),
        0.6,
        {"face.jpg": 1, "cat.bmp": 0},
    ),
    "ssd": (real.SSD, scripts.ssd_reference, 0.5, {"cat_720p.jpg": 1, "test_object_detection_0.jpg": 1}),
}


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_agrees_with_its_reference_script(name: str, test_data: Path, tmp_path: Path) -> None:
    made, reference, threshold, pictures = DETECTORS[name]
    models = test_data / "models"
    for at, (file, least) in enumerate(pictures.items()):
        bgr = picture(test_data, file)
        found = list(result_of(made, tmp_path / str(at), models, bgr).detections)
        expected = reference(models / made.file, bgr, made.labels(models))
        assert len(found) >= least
        assert not missing_from(found, expected, threshold), (found, expected)
        mine = [Box(one.label, one.score, one.box) for one in found]
        theirs = [Detection(box.label, box.score, box.box) for box in expected]
        assert not missing_from(theirs, mine, threshold), (found, expected)


def test_ultraface_sees_the_four_faces_and_none_in_a_cat(test_data: Path, tmp_path: Path) -> None:
    for file, faces in (("face.jpg", 4), ("cat.bmp", 0)):
        bgr = picture(test_data, file)
        result = result_of(real.ULTRAFACE, tmp_path / file, test_data / "models", bgr)
        assert len(result.detections) == faces


@pytest.mark.parametrize(("height", "width"), [(320, 320), (480, 640)])
def test_yunet_s_landmarks_are_those_of_the_reference(
    height: int, width: int, test_data: Path, tmp_path: Path
) -> None:
    made, models = real.yunet(height, width), test_data / "models"
    bgr = picture(test_data, "face.jpg")
    found = result_of(made, tmp_path, models, bgr).detections
    expected = scripts.yunet_reference(height, width)(models / made.file, bgr, ["face"])
    assert found
    for one in found:
        box = max(expected, key=lambda other: scripts.overlap(one.box, other.box))
        within = 0.03 * (one.box[2] - one.box[0]) + 1
        assert [point.name for point in one.keypoints][:2] == ["right_eye", "left_eye"]
        for point, (x, y) in zip(one.keypoints, box.points, strict=True):
            assert (point.x, point.y) == pytest.approx((x, y), abs=within)


CLASSIFIERS: dict[str, tuple[RealModel, Callable[[Path, Array], Array], dict[str, tuple[str, float]]]] = {
    "mobilenet": (
        real.MOBILENET,
        scripts.mobilenet_reference,
        {"grace_hopper.bmp": ("military uniform", 0.8), "kitten_224.png": ("tabby", 0.8)},
    ),
    "squeezenet": (
        real.SQUEEZENET,
        scripts.squeezenet_reference,
        {"kitten_224.png": ("tabby", 0.85), "goldfish.jpg": ("goldfish", 0.95)},
    ),
    "vww": (real.VWW, scripts.vww_reference, {"grace_hopper.bmp": ("person", 0.5)}),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_agrees_with_its_reference_script(name: str, test_data: Path, tmp_path: Path) -> None:
    made, reference, pictures = CLASSIFIERS[name]
    models = test_data / "models"
    labels = made.labels(models)
    for at, (file, (label, least)) in enumerate(pictures.items()):
        bgr = picture(test_data, file)
        classes = result_of(made, tmp_path / str(at), models, bgr).classes
        expected = reference(models / made.file, bgr)
        assert label in classes[0].label
        assert classes[0].score >= least
        for one, index in zip(classes, np.argsort(-expected, kind="stable"), strict=False):
            assert one.score == pytest.approx(float(expected[index]), abs=SCORE)
        assert classes[0].label == labels[int(expected.argmax())]
