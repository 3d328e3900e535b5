"""Decoders of boxes: known answers in every placement, and what each refuses before the first frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.bundle import decoders as declared
from runtime.errors import Code, EdgewardError
from runtime.vision.decoders import Output
from runtime.vision.placement import Placement

from .decoding import HALF, described
from .detectors import (
    CASES,
    CERTAIN,
    HEADS,
    PRIORS,
    SURE,
    build,
    decode,
    labels_of,
    ssd,
    ssd_postprocessed,
    yolov5_heads,
    yolov10,
    yolox,
    yunet,
    zeros,
)

pytestmark = pytest.mark.unit

PLACES = {
    "stretch": (HALF, (16.0, 8.0, 48.0, 40.0)),
    "letterbox": (Placement(0.5, 0.5, 0.0, 4.0, 0.0, 0.0, 64, 48), (16.0, 0.0, 48.0, 32.0)),
    "crop": (Placement(2.0, 2.0, 0.0, 0.0, 100.0, 50.0, 111, 500), (104.0, 52.0, 111.0, 60.0)),
}

every = pytest.mark.parametrize("name", CASES)


@every
@pytest.mark.parametrize("place", PLACES)
def test_the_object_is_found_where_it_is(name: str, place: str) -> None:
    placement, box = PLACES[place]
    (found,) = decode(name, CASES[name][1](), placement)
    assert found.label == "cat"
    assert found.score == pytest.approx(0.9, abs=1e-5)
    assert found.box == pytest.approx(box, abs=1e-3)


@every
def test_a_threshold_of_the_user_stands_in_for_the_author_s(name: str) -> None:
    outputs = CASES[name][1]()
    assert decode(name, outputs, user_threshold=0.95) == ()
    assert len(decode(name, outputs, score_threshold=0.99, user_threshold=0.8)) == 1


@every
def test_an_empty_picture_is_empty(name: str) -> None:
    low = -CERTAIN if "heads" in name or name == "ssd" else 0.0
    assert decode(name, [np.full_like(output, low) for output in CASES[name][1]()]) == ()


@every
def test_outputs_that_are_no_numbers_are_a_failure_of_the_model(name: str) -> None:
    outputs = [np.full_like(output, np.nan) for output in CASES[name][1]()]
    if name == "ssd_postprocessed":
        outputs[3][:] = 10
    with pytest.raises(EdgewardError, match=r"the model gave \d+ rows that are not numbers") as caught:
        decode(name, outputs)
    assert caught.value.code is Code.MODEL_RUN


@every
def test_sizes_that_the_model_decides_are_taken_as_they_come(name: str) -> None:
    spec, make = CASES[name]
    outputs = make()
    if "yolov8" in name:
        columns = outputs[0].shape.index(6)
        shapes = [tuple(6 if at == columns else None if at else 1 for at in range(3))]
    else:
        shapes = [(1, *(None for _ in output.shape[1:])) for output in outputs]
    open_outputs = [Output(str(at), "float32", shape) for at, shape in enumerate(shapes)]
    built = build(spec, open_outputs, labels_of(name))
    assert len(built.decode(outputs, HALF).detections) == 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (name, change)
        for name, (_, make) in CASES.items()
        for change in ("dtype", "dimensions", "labels", "missing")
        # With one output none can be missing, and these models say the class by its number.
        if not (change == "missing" and len(make()) == 1)
        and not (change == "labels" and name in {"yolov10", "ssd_postprocessed"})
    ],
)
def test_outputs_that_do_not_fit_are_refused_before_the_first_frame(name: str, change: str) -> None:
    spec, make = CASES[name]
    outputs = list(described(*make()))
    labels = labels_of(name)
    if change == "dtype":
        outputs[0] = replace(outputs[0], dtype="int32")
    elif change == "dimensions":
        outputs[0] = replace(outputs[0], shape=(*outputs[0].shape, 2))
    elif change == "missing":
        outputs.pop()
    else:
        labels = (*labels, "mouse")
    with pytest.raises(
        EdgewardError, match=f"the decoder {name.partition(',')[0]} with .* labels reads"
    ) as caught:
        build(spec, outputs, labels)
    assert caught.value.code is Code.BUNDLE_MANIFEST


@every
def test_the_best_come_first_and_no_more_than_asked_for(name: str) -> None:
    rng = np.random.default_rng(5)
    outputs = [rng.random(output.shape, dtype=np.float32) for output in CASES[name][1]()]
    if name == "yolov10":
        outputs[0][..., 2:4] += 1
        outputs[0][..., 5] = 1
    if name == "ssd_postprocessed":
        outputs[1][:], outputs[3][:] = 1, 10
    found = decode(name, outputs, score_threshold=0.1, iou_threshold=1.0)
    scores = [detection.score for detection in found]
    assert len(found) > 1
    assert scores == sorted(scores, reverse=True)
    assert decode(name, outputs, score_threshold=0.1, iou_threshold=1.0, max_detections=1) == found[:1]
    for detection in found:
        x1, y1, x2, y2 = detection.box
        assert 0 <= x1 < x2 <= 64
        assert 0 <= y1 < y2 <= 64


@pytest.mark.parametrize("name", ["yolov10", "ssd_postprocessed"])
@pytest.mark.parametrize("index", [-1, 2, 90])
def test_a_class_without_a_label_is_a_failure_of_the_model(name: str, index: int) -> None:
    outputs = CASES[name][1]()
    if name == "yolov10":
        outputs[0][0, 2, 5] = index
    else:
        outputs[1][0, 0] = index
    says = f"the model gave the class {index}, there are labels for 0 to 1"
    with pytest.raises(EdgewardError, match=says) as caught:
        decode(name, outputs)
    assert caught.value.code is Code.MODEL_RUN


@pytest.mark.parametrize("name", ["yolov10", "ssd_postprocessed"])
def test_what_the_graph_has_suppressed_is_not_suppressed_again_unless_asked_for(name: str) -> None:
    outputs = CASES[name][1]()
    if name == "yolov10":
        outputs[0][0, 3] = outputs[0][0, 2]
    else:
        for output in outputs[:3]:
            output[0, 1] = output[0, 0]
        outputs[3][0] = 2
    assert len(decode(name, outputs)) == 2
    assert len(decode(name, outputs, iou_threshold=0.5)) == 1


def test_yolov10_boxes_may_be_fractions() -> None:
    output = yolov10()[0]
    output[..., :4] /= 32
    (found,) = decode("yolov10", [output], box_units="fraction")
    assert found.box == pytest.approx((16, 8, 48, 40))


def test_ssd_reads_as_many_boxes_as_the_model_counts() -> None:
    outputs = ssd_postprocessed()
    for output in outputs[:3]:
        output[0, 1:] = output[0, 0]
    assert len(decode("ssd_postprocessed", outputs)) == 1
    outputs[3][0] = 10
    assert len(decode("ssd_postprocessed", outputs)) == 10
    outputs[3][0] = 0
    assert decode("ssd_postprocessed", outputs) == ()
    for count in (11, -1, 1e30):
        outputs[3][0] = count
        with pytest.raises(EdgewardError, match=r"the model says that it found .* and has room for 10"):
            decode("ssd_postprocessed", outputs)
    outputs[3][0] = np.nan
    with pytest.raises(EdgewardError, match="the model gave counts that are not numbers"):
        decode("ssd_postprocessed", outputs)


def test_ssd_takes_indices_and_counts_of_any_type_and_shifts_the_label() -> None:
    boxes, classes, scores, count = ssd_postprocessed()
    for kind in (np.int32, np.int64):
        outputs = [boxes, classes.astype(kind), scores, count.astype(kind).reshape(1, 1)]
        assert decode("ssd_postprocessed", outputs)[0].label == "cat"
        assert decode("ssd_postprocessed", outputs, label_offset=-1)[0].label == "dog"


@pytest.mark.parametrize(
    ("priors", "says"),
    [
        (b"", r"\(0 bytes\)"),
        (PRIORS.tobytes()[:-1], r"\(47 bytes\)"),
        (np.full((3, 4), np.nan, "<f4").tobytes(), r"\(48 bytes\)"),
        (np.zeros((3, 4), "<f4").tobytes(), "height and width over zero"),
        (PRIORS[:2].tobytes(), r"with 2 priors float32 \[1, 2, 4\] and \[1, 2, 3\]"),
    ],
)
def test_priors_that_do_not_fit_are_refused(priors: bytes, says: str) -> None:
    with pytest.raises(EdgewardError, match=says) as caught:
        build(CASES["ssd"][0], described(*ssd()), priors=priors)
    assert caught.value.code is Code.BUNDLE_MANIFEST


@pytest.mark.parametrize(("activation", "score"), [("sigmoid", 0.9), ("softmax", 0.9), ("none", SURE)])
def test_ssd_scores_go_through_their_activation(activation: str, score: float) -> None:
    (found,) = decode("ssd", ssd(), activation=activation)
    assert found.score == pytest.approx(score, abs=1e-5)


def test_ssd_without_a_background_has_a_score_less() -> None:
    boxes, scores = ssd()
    (found,) = decode("ssd", [boxes, np.ascontiguousarray(scores[..., 1:])], background=False)
    assert found.label == "cat"


def test_yunet_gives_five_named_landmarks_in_the_picture() -> None:
    placement, _ = PLACES["letterbox"]
    (found,) = decode("yunet", yunet(), placement)
    assert [point.name for point in found.keypoints] == list(declared.YuNet().keypoints)
    # In the tensor (4, 8), (8, 8), (8, 12), (4, 16), (8, 16), below a padding of 4.
    expected = [(8, 8), (16, 8), (16, 16), (8, 24), (16, 24)]
    assert [(point.x, point.y) for point in found.keypoints] == [pytest.approx(point) for point in expected]
    assert [point.score for point in found.keypoints] == [pytest.approx(0.9)] * 5


def test_yunet_tells_landmarks_that_are_no_numbers_of_faces_only() -> None:
    outputs = yunet()
    outputs[7][0, 0] = np.nan  # no face there
    assert len(decode("yunet", outputs)) == 1
    outputs[7][0, 2, 9] = np.inf
    with pytest.raises(EdgewardError, match="landmarks of 1 detections that are not numbers"):
        decode("yunet", outputs)


def test_strides_that_do_not_divide_the_input_are_refused() -> None:
    with pytest.raises(EdgewardError, match=r"strides \[8, 12\] of 32x32"):
        build(declared.Yolox(strides=(8, 12)), described(*yolox()))
    with pytest.raises(EdgewardError, match="the decoder yolov5"):
        build(
            declared.Yolov5(anchors=HEADS["anchors"], strides=(8, 12)),
            described(*yolov5_heads(channels_first=True)),
        )


def test_a_shape_that_the_model_itself_chose_and_that_does_not_fit_is_told() -> None:
    open_shape = [Output("output", "float32", (1, None, None))]
    built = build(CASES["yolox"][0], open_shape)
    with pytest.raises(ValueError, match="output has 19 rows"):
        built.decode([zeros(1, 19, 7)], HALF)


def test_outputs_behind_those_that_are_read_do_no_harm() -> None:
    """Older YOLOv5 exports put out the raw heads, too."""
    for name, (spec, make) in CASES.items():
        outputs = [*make(), zeros(3, 3)]
        built = build(spec, described(*outputs), labels_of(name))
        assert len(built.decode(outputs, HALF).detections) == 1
