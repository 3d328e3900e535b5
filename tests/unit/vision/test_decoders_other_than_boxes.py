"""Classes, embeddings, raw tensors and poses: what is read, what is refused, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.bundle.decoders import Classification, Embedding, MoveNet, Semantic, Tensors
from runtime.bundle.decoders import Decoder as Declaration
from runtime.errors import Code, EdgewardError
from runtime.findings import Classified
from runtime.vision import decoders
from runtime.vision.decoders import Output
from runtime.vision.placement import Placement

from .decoding import build, context, decode, random

pytestmark = pytest.mark.unit

NAMES = ("head", "foot")


def test_the_best_classes_come_first_and_equal_ones_in_the_order_of_the_labels() -> None:
    scores = np.array([[0.1, 0.5, 0.5, 0.9, 0.5]], np.float32)
    for top_k, expected in ((1, "d"), (2, "db"), (3, "dbc"), (5, "dbcea"), (9, "dbcea")):
        found = decode(Classification(top_k=top_k), scores, labels="abcde").classes
        assert "".join(entry.label for entry in found) == expected


def test_the_top_classes_are_those_of_a_full_sort() -> None:
    scores = random(1, 1001)
    found = decode(
        Classification(top_k=7), scores, labels=[str(at) for at in range(1001)], score_threshold=-9
    )
    best = np.sort(scores[0])[::-1][:7]
    assert [entry.score for entry in found.classes] == pytest.approx(best.tolist())
    assert [int(entry.label) for entry in found.classes] == np.argsort(-scores[0])[:7].tolist()


def test_a_threshold_of_the_user_stands_in_for_the_author_s() -> None:
    scores = np.array([[0.2, 0.5, 0.8]], np.float32)
    spec = Classification(score_threshold=0.5)
    assert len(decode(spec, scores, labels="abc").classes) == 2
    assert decode(spec, scores, labels="abc", score_threshold=0.8).classes == (
        Classified("c", pytest.approx(0.8)),
    )
    assert decode(spec, scores, labels="abc", score_threshold=0.9).classes == ()


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.35, 0.6, 0.7, 0.9])
def test_a_score_equal_to_the_threshold_passes(threshold: float) -> None:
    """0.35, 0.7 and 0.9 are less as float32 than as float64, the others more."""
    scores = np.array([[threshold, 0.0]], np.float32)
    assert len(decode(Classification(score_threshold=threshold), scores, labels="ab").classes) == 1
    spec = Classification()
    assert len(decode(spec, scores, labels="ab", score_threshold=threshold).classes) == 1
    poses = MoveNet(keypoints=NAMES, score_threshold=threshold, keypoint_threshold=threshold)
    points = pose((0.2, 0.2, threshold), (0.5, 0.5, threshold))
    assert len(decode(poses, points).detections) == 1
    rows = np.array([[[0.2, 0.2, threshold, 0.5, 0.5, threshold, 0.1, 0.1, 0.6, 0.6, threshold]]], np.float32)
    assert len(decode(poses, rows).detections) == 1
    found = decode(Semantic(score_threshold=threshold), scores.reshape(1, 1, 1, 2)).segmentation
    assert found is not None
    assert found.runs == ((0, 1), (-1, 1))


@pytest.mark.parametrize("large", [1e4, -1e4, 3e38])
def test_large_logits_overflow_neither_softmax_nor_sigmoid(large: float) -> None:
    logits = np.array([[large, large, 0.0]], np.float32)
    soft = {
        e.label: e.score for e in decode(Classification(activation="softmax"), logits, labels="abc").classes
    }
    wanted = (0.5, 0.5, 0.0) if large > 0 else (0.0, 0.0, 1.0)
    assert tuple(soft[label] for label in "abc") == pytest.approx(wanted)
    hard = {
        e.label: e.score for e in decode(Classification(activation="sigmoid"), logits, labels="abc").classes
    }
    assert tuple(hard[label] for label in "abc") == pytest.approx((1, 1, 0.5) if large > 0 else (0, 0, 0.5))


def test_softmax_and_sigmoid_are_those_of_float64() -> None:
    logits = random(1, 50)
    exact = np.exp(logits[0].astype(np.float64))
    labels = [str(at) for at in range(50)]
    for activation, scores in (("softmax", exact / exact.sum()), ("sigmoid", exact / (1 + exact))):
        found = decode(Classification(activation=activation, top_k=50), logits, labels=labels).classes
        for entry in found:
            assert entry.score == pytest.approx(scores[int(entry.label)], rel=1e-5)


def test_an_embedding_has_length_one() -> None:
    found = decode(Embedding(), random(1, 512) * 1e15).embedding
    assert len(found) == 512
    assert np.linalg.norm(found) == pytest.approx(1)


@pytest.mark.parametrize("size", [1e-40, 1e-20, 1.0, 1e20, 3e38])
def test_an_embedding_of_any_size_has_length_one(size: float) -> None:
    found = decode(Embedding(), np.full((1, 4), size, np.float32)).embedding
    assert found == pytest.approx((0.5,) * 4)


def test_an_embedding_of_zeros_has_no_direction() -> None:
    with pytest.raises(EdgewardError, match="zeros, which has no direction") as caught:
        decode(Embedding(), np.zeros((1, 4), np.float32))
    assert caught.value.code is Code.MODEL_RUN
    assert decode(Embedding(normalise=False), np.zeros((1, 4), np.float32)).embedding == (0, 0, 0, 0)


def test_raw_tensors_are_the_bytes_in_c_order() -> None:
    first, second = random(1, 3, 2), np.array([[[1, -2]]], np.int32)
    found = decode(Tensors(), first, second).tensors
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in found] == [
        ("output0", "float32", (1, 3, 2)),
        ("output1", "int32", (1, 1, 2)),
    ]
    assert np.array_equal(np.frombuffer(found[0].data, "<f4").reshape(1, 3, 2), first)
    assert np.frombuffer(found[1].data, "<i4").tolist() == [1, -2]
    view = random(1, 4, 6)[:, ::2, 1:]
    assert decode(Tensors(), view).tensors[0].data == np.ascontiguousarray(view).tobytes()


def test_raw_tensors_over_a_mebibyte_are_refused_as_soon_as_it_is_known() -> None:
    build(Tensors(), np.zeros((1, 1 << 18), np.float32))
    with pytest.raises(
        EdgewardError, match="at most 1048576 bytes a frame, the outputs have 1048580"
    ) as fixed:
        build(Tensors(), np.zeros((1, (1 << 18) + 1), np.float32))
    assert fixed.value.code is Code.BUNDLE_MANIFEST
    decoder = decoders.build(Tensors(), context(Output("rows", "float32", (1, None, 6))))
    place = Placement(1, 1, 0, 0, 0, 0, 32, 32)
    assert decoder.decode([np.zeros((1, 2, 6), np.float32)], place).tensors[0].shape == (1, 2, 6)
    with pytest.raises(EdgewardError, match="gave 1200000 bytes, over the 1048576") as decided:
        decoder.decode([np.zeros((1, 50_000, 6), np.float32)], place)
    assert decided.value.code is Code.MODEL_RUN


def pose(*points: tuple[float, float, float]) -> np.ndarray:
    """``[1, 1, K, 3]`` of y, x, score."""
    return np.array(points, np.float32).reshape(1, 1, -1, 3)


def test_the_box_of_a_pose_is_around_the_keypoints_that_are_seen() -> None:
    spec = MoveNet(keypoints=("head", "hand", "foot"))
    points = pose((0.25, 0.5, 0.9), (1.0, 0.0, 0.1), (0.75, 0.25, 0.5))
    (found,) = decode(spec, points).detections
    assert found.box == pytest.approx((16, 16, 32, 48))
    assert found.score == pytest.approx(0.7)
    assert [(point.name, point.x, point.y) for point in found.keypoints] == [
        ("head", 32, 16),
        ("hand", 0, 64),
        ("foot", 16, 48),
    ]


def test_a_pose_of_which_one_keypoint_is_seen_is_no_silence() -> None:
    (found,) = decode(MoveNet(keypoints=NAMES), pose((0.25, 0.5, 0.9), (1.0, 0.0, 0.1))).detections
    assert found.box == pytest.approx((31.5, 15.5, 32.5, 16.5))
    level = decode(MoveNet(keypoints=NAMES), pose((0.5, 0.25, 0.9), (0.5, 0.75, 0.9))).detections
    assert level[0].box == pytest.approx((16, 31.5, 48, 32.5))


def test_a_pose_that_nobody_sees_is_none() -> None:
    spec = MoveNet(keypoints=NAMES)
    assert decode(spec, pose((0.2, 0.2, 0.1), (0.8, 0.8, 0.15))).detections == ()
    assert decode(spec, pose((0.2, 0.2, 0.25), (0.8, 0.8, 0.25))).detections == ()
    assert len(decode(spec, pose((0.2, 0.2, 0.25), (0.8, 0.8, 0.25)), score_threshold=0.2).detections) == 1


def test_poses_come_best_first_and_those_in_the_padding_not_at_all() -> None:
    output = np.zeros((1, 4, 11), np.float32)
    box = (0.25, 0.25, 0.75, 0.75)
    for at, (score, corners) in enumerate([(0.5, box), (0.9, box), (0.8, (0.0, 0.0, 0.1, 1.0)), (0.1, box)]):
        output[0, at] = (0.5, 0.5, 1, 0.5, 0.5, 1, *corners, score)
    # 64x32 in the middle of the tensor: above 8 lies padding.
    place = Placement(0.5, 0.5, 0.0, 8.0, 0.0, 0.0, 64, 32)
    found = decode(MoveNet(keypoints=NAMES), output, place=place).detections
    assert [detection.score for detection in found] == pytest.approx([0.9, 0.5])
    assert found[0].box == pytest.approx((16, 0, 48, 32))


def test_rows_of_a_pose_model_that_do_not_pass_may_hold_anything() -> None:
    output = np.zeros((1, 2, 11), np.float32)
    output[0, 0] = (0.5, 0.5, 1, 0.5, 0.5, 1, 0.25, 0.25, 0.75, 0.75, 0.9)
    output[0, 1, 3] = np.nan
    assert len(decode(MoveNet(keypoints=NAMES), output).detections) == 1
    output[0, 1, -1] = np.nan
    with pytest.raises(EdgewardError, match="1 poses that are not numbers"):
        decode(MoveNet(keypoints=NAMES), output)


@pytest.mark.parametrize(
    ("spec", "output", "text"),
    [
        (Classification(), np.array([[0.5, np.inf]], np.float32), "1 class scores"),
        (Classification(activation="softmax"), np.array([[-np.inf, np.nan]], np.float32), "2 class scores"),
        (Embedding(), np.array([[0.5, np.nan]], np.float32), "1 elements of the embedding"),
        (MoveNet(keypoints=NAMES), pose((0.5, np.nan, 0.9), (0.5, 0.5, 0.9)), "1 keypoints"),
        (MoveNet(keypoints=NAMES), pose((0.5, 0.5, np.nan), (0.5, 0.5, 0.9)), "1 keypoints"),
    ],
)
def test_what_is_not_a_number_is_an_error(spec: Declaration, output: np.ndarray, text: str) -> None:
    labels = ("a", "b") if isinstance(spec, Classification) else ("thing",)
    with pytest.raises(EdgewardError, match=f"made: the model gave {text} that are not numbers") as caught:
        decode(spec, output, labels=labels)
    assert caught.value.code is Code.MODEL_RUN


@pytest.mark.parametrize(
    ("spec", "outputs", "labels"),
    [
        (Classification(), [Output("x", "float32", (1, 3))], "ab"),
        (Classification(), [Output("x", "float32", (1, None))], "ab"),
        (Classification(), [Output("x", "int64", (1, 2))], "ab"),
        (Embedding(), [Output("x", "float32", (1, 2, 2))], ""),
        (Embedding(), [Output("x", "float32", (1, None))], ""),
        (Embedding(), [Output("x", "float32", (1, 65537))], ""),
        (Embedding(), [Output("x", "int32", (1, 4))], ""),
        (MoveNet(keypoints=NAMES), [Output("x", "float32", (1, 1, 3, 3))], "a"),
        (MoveNet(keypoints=NAMES), [Output("x", "float32", (1, 6, 12))], "a"),
        (MoveNet(keypoints=NAMES), [Output("x", "float32", (1, 1, 2, 3))], "ab"),
    ],
)
def test_outputs_that_a_decoder_does_not_read_are_refused_before_the_first_frame(
    spec: Declaration, outputs: list[Output], labels: str
) -> None:
    tag = spec.__struct_config__.tag
    with pytest.raises(
        EdgewardError, match=rf"made: the decoder {tag} with {len(labels)} labels reads"
    ) as caught:
        decoders.build(spec, context(*outputs, labels=tuple(labels)))
    assert caught.value.code is Code.BUNDLE_MANIFEST
    assert "bundle.toml" in caught.value.remedy
