"""Real models through our decoders, against scripts that decode the same outputs without us."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest

from runtime.bundle.decoders import Decoder as Declaration
from runtime.bundle.decoders import FastestDet, UltraFace, YuNet
from runtime.engine import Array
from runtime.findings import Detection
from runtime.vision import decoders
from runtime.vision.decoders import Context, Output
from runtime.vision.placement import Placement

pytestmark = [pytest.mark.integration, pytest.mark.command]

POINTS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


def picture(test_data: Path, name: str) -> Array:
    """BGR ``[H, W, 3]``."""
    image = cv2.imread(str(test_data / "images" / name))
    assert image is not None
    return image


def run(test_data: Path, model: str, tensor: Array) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        test_data / "models" / model, options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(output) for output in session.run(None, {session.get_inputs()[0].name: tensor})]


def ours(
    spec: Declaration, outputs: Sequence[Array], labels: Sequence[str], size: tuple[int, int], image: Array
) -> tuple[Detection, ...]:
    """What our decoder says of a picture that was stretched to ``size`` (width, height)."""
    context = Context(
        labels=tuple(labels),
        width=size[0],
        height=size[1],
        outputs=tuple(Output(str(at), array.dtype.name, array.shape) for at, array in enumerate(outputs)),
        score_threshold=None,
        read=lambda path: b"",
        where="a real model",
    )
    height, width = image.shape[:2]
    place = Placement(size[0] / width, size[1] / height, 0.0, 0.0, 0.0, 0.0, width, height)
    return decoders.build(spec, context).decode(outputs, place).detections


def tensor(image: Array, *, mean: float = 0.0, scale: float = 1.0) -> Array:
    """NCHW float32 of an image of the right size."""
    return np.ascontiguousarray(((image.astype(np.float32) - mean) * scale).transpose(2, 0, 1)[np.newaxis])


def suppressed(boxes: Array, scores: Array, labels: Array, iou: float) -> list[int]:
    """OpenCV's choice, best first; ``boxes`` are corners."""
    corner_size = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2])).astype(np.float32)
    kept: Any = cv2.dnn.NMSBoxesBatched(corner_size, scores.astype(np.float32), labels, 0.0, iou)  # type: ignore[call-overload]
    return sorted(np.asarray(kept, np.intp).reshape(-1).tolist(), key=lambda at: -float(scores[at]))


def assert_same(
    found: Sequence[Detection], boxes: Array, scores: Array, labels: Sequence[str], image: Array
) -> None:
    height, width = image.shape[:2]
    assert [detection.label for detection in found] == list(labels)
    np.testing.assert_allclose([detection.score for detection in found], scores, atol=1e-4)
    clipped = boxes.clip(0, [width, height, width, height])
    np.testing.assert_allclose(
        np.reshape([detection.box for detection in found], (-1, 4)), clipped, atol=0.05
    )


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize(
    ("name", "seen"),
    [("cat.bmp", "cat"), ("grace_hopper.bmp", "person"), ("kitten_224.png", "cat")],
)
def test_fastestdet_agrees_with_its_repository_s_formula(test_data: Path, name: str, seen: str) -> None:
    image = picture(test_data, name)
    labels = (test_data / "models" / "coco.names").read_text().split("\n")[:80]
    outputs = run(test_data, "FastestDet.onnx", tensor(cv2.resize(image, (352, 352)), scale=1 / 255))
    spec = FastestDet(score_threshold=0.5)
    found = ours(spec, outputs, labels, (352, 352), image)

    height, width = image.shape[:2]
    boxes, scores, classes = [], [], []
    for line in range(22):
        for column in range(22):
            objectness, x, y, w, h, *each = outputs[0][0, :, line, column].astype(np.float64)
            score = objectness**0.6 * max(each) ** 0.4
            if score > spec.score_threshold:
                centre = (column + np.tanh(x)) / 22 * width, (line + np.tanh(y)) / 22 * height
                half = sigmoid(w) * width / 2, sigmoid(h) * height / 2
                boxes.append(
                    [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
                )
                scores.append(score)
                classes.append(int(np.argmax(each)))
    kept = suppressed(np.array(boxes), np.array(scores), np.array(classes), spec.iou_threshold)
    assert_same(
        found, np.array(boxes)[kept], np.array(scores)[kept], [labels[classes[k]] for k in kept], image
    )
    assert found[0].label == seen


@pytest.mark.parametrize(("name", "faces"), [("face.jpg", 4), ("cat.bmp", 0)])
def test_ultraface_finds_the_faces_that_a_script_finds(test_data: Path, name: str, faces: int) -> None:
    image = picture(test_data, name)
    rgb = cv2.cvtColor(cv2.resize(image, (320, 240)), cv2.COLOR_BGR2RGB)
    outputs = run(test_data, "version-RFB-320.onnx", tensor(rgb, mean=127, scale=1 / 128))
    found = ours(UltraFace(), outputs, ["face"], (320, 240), image)

    height, width = image.shape[:2]
    sure = outputs[0][0, :, 1] > 0.7
    scores, boxes = outputs[0][0, sure, 1], outputs[1][0, sure] * [width, height, width, height]
    kept = suppressed(boxes, scores, np.zeros(len(scores), np.int32), 0.3) if len(scores) else []
    assert_same(found, boxes[kept], scores[kept], ["face"] * len(kept), image)
    assert len(found) == faces


@pytest.mark.parametrize("size", [(320, 320), (640, 448)])
@pytest.mark.parametrize(("name", "faces"), [("face.jpg", 4), ("cat.bmp", 0)])
def test_yunet_finds_the_faces_and_landmarks_that_a_script_finds(
    test_data: Path, size: tuple[int, int], name: str, faces: int
) -> None:
    image = picture(test_data, name)
    outputs = run(test_data, "yunet_n_dynamic.onnx", tensor(cv2.resize(image, size)))
    found = ours(YuNet(), outputs, ["face"], size, image)

    height, width = image.shape[:2]
    across, down = width / size[0], height / size[1]
    boxes, scores, points = [], [], []
    for level, stride in enumerate((8, 16, 32)):
        cls, obj, box, kps = (outputs[level + 3 * kind][0].astype(np.float64) for kind in range(4))
        for row in range(len(cls)):
            line, column = divmod(row, size[0] // stride)
            score = (cls[row, 0] * obj[row, 0]) ** 0.5
            if score > 0.6:
                x, y = (column + box[row, 0]) * stride, (line + box[row, 1]) * stride
                w, h = np.exp(box[row, 2]) * stride, np.exp(box[row, 3]) * stride
                scores.append(score)
                boxes.append(
                    [(x - w / 2) * across, (y - h / 2) * down, (x + w / 2) * across, (y + h / 2) * down]
                )
                points.append(
                    [
                        (
                            (column + kps[row, 2 * k]) * stride * across,
                            (line + kps[row, 2 * k + 1]) * stride * down,
                        )
                        for k in range(5)
                    ]
                )
    kept = suppressed(np.array(boxes), np.array(scores), np.zeros(len(boxes), np.int32), 0.3) if boxes else []
    all_boxes, all_scores = np.reshape(boxes, (-1, 4)), np.array(scores)
    assert_same(found, all_boxes[kept], all_scores[kept], ["face"] * len(kept), image)
    assert len(found) == faces
    for face, at in zip(found, kept, strict=True):
        assert tuple(point.name for point in face.keypoints) == POINTS
        np.testing.assert_allclose([(p.x, p.y) for p in face.keypoints], points[at], atol=0.05)
        # The eyes are above the mouth, the right one (of the person) to the left, all within the box.
        eye, other, _, mouth, _ = face.keypoints
        assert eye.x < other.x
        assert eye.y < mouth.y
        assert face.box[0] < eye.x < face.box[2]


@pytest.mark.parametrize("size", [(320, 320), (640, 448)])
def test_yunet_agrees_with_opencv_s_own_detector(test_data: Path, size: tuple[int, int]) -> None:
    small = cv2.resize(picture(test_data, "face.jpg"), size)
    model = test_data / "models" / "yunet_n_dynamic.onnx"
    detector = cv2.FaceDetectorYN.create(str(model), "", size, 0.6, 0.3, 5000)
    theirs = detector.detect(small)[1]
    found = ours(YuNet(), run(test_data, model.name, tensor(small)), ["face"], size, small)
    assert len(found) == len(theirs) == 4
    for face, (x, y, width, height, *rest) in zip(found, theirs, strict=True):
        corners = np.clip([x, y, x + width, y + height], 0, [*size, *size])
        np.testing.assert_allclose(face.box, corners, atol=0.1)
        points = [value for point in face.keypoints for value in (point.x, point.y)]
        np.testing.assert_allclose(points, rest[:10], atol=0.1)
        assert face.score == pytest.approx(rest[10], abs=1e-3)
