"""Masks and segmentations: cell by cell what a plain computation of the whole gives, and bounded."""

from __future__ import annotations

import tracemalloc

import msgspec
import numpy as np
import pytest

from runtime.bundle.decoders import Decoder as Declaration
from runtime.bundle.decoders import Semantic, Yolov8Pose, Yolov8Seg
from runtime.errors import Code, EdgewardError
from runtime.findings import Mask, Segmentation
from runtime.vision import decoders
from runtime.vision.decoders import Context, Output
from runtime.vision.decoders.masks import RunCoder
from runtime.vision.placement import Placement

from .decoding import HALF, build, context, decode, described, random

pytestmark = pytest.mark.unit


def cells(mask: Mask) -> np.ndarray:
    """The mask as bool ``[height, width]``."""
    values = np.arange(len(mask.runs)) % 2 == 1
    return np.repeat(values, mask.runs).reshape(mask.height, mask.width)


def classes(found: Segmentation) -> np.ndarray:
    values, lengths = zip(*found.runs, strict=True)
    return np.repeat(values, lengths).reshape(found.height, found.width)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 13), (64, 64)])
def test_runs_are_the_grid_again(shape: tuple[int, int]) -> None:
    coder = RunCoder(4096, "int32")
    for seed in range(5):
        grid = np.random.default_rng(seed).integers(-1, 3, shape, dtype=np.int32)
        coded = coder.code(grid, most=4096)
        assert (coded.height, coded.width, coded.step) == (*shape, 1)
        assert np.array_equal(np.repeat(coded.values, coded.lengths).reshape(shape), grid)
        assert all(left != right for left, right in zip(coded.values, coded.values[1:], strict=False))


def test_noise_is_halved_until_it_fits_into_a_message() -> None:
    grid = np.random.default_rng(1).integers(0, 2, (101, 64), dtype=np.int32)
    coded = RunCoder(grid.size, "int32").code(grid, most=500)
    assert (coded.step, coded.height, coded.width) == (4, 26, 16)
    again = np.repeat(coded.values, coded.lengths).reshape(26, 16)
    assert np.array_equal(again, grid[::4, ::4])


def seg_outputs(count: int = 3, masks: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """``count`` boxes far from each other, of a 32x32 tensor, random masks of 16x16 cells of 2 pixels."""
    rows = np.zeros((1, 20, 5 + masks), np.float32)
    boxes = [(7.3, 9.9, 10.7, 13.4), (22.0, 24.5, 17.5, 12.0), (25.5, 6.5, 9.0, 8.2)]
    for at, box in enumerate(boxes[:count]):
        rows[0, 4 * at, :5] = (*box, 0.9 - at / 10)
        rows[0, 4 * at, 5:] = random(masks, seed=at)
    return rows, random(1, masks, 16, 16, seed=9)


def seg_context(rows: np.ndarray, prototypes: np.ndarray) -> Context:
    return context(*described(rows, prototypes))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("turned", [False, True])
def test_a_mask_is_the_whole_one_cut_at_the_box(threshold: float, turned: bool) -> None:
    rows, prototypes = seg_outputs()
    place = Placement(0.5, 0.4, 1.5, 2.0, 0.0, 0.0, 64, 64)
    given = (
        np.ascontiguousarray(rows.transpose(0, 2, 1)),
        np.ascontiguousarray(prototypes.transpose(0, 2, 3, 1)),
    )
    spec = Yolov8Seg(mask_threshold=threshold)
    found = decode(spec, *(given if turned else (rows, prototypes)), place=place).detections
    assert len(found) == 3
    for detection, row in zip(found, (0, 4, 8), strict=True):
        assert detection.mask is not None
        sums = np.tensordot(rows[0, row, 5:].astype(np.float64), prototypes[0].astype(np.float64), 1)
        whole = 1 / (1 + np.exp(-sums)) >= threshold
        middle = (np.arange(16) + 0.5) * 2
        corners = [
            (edge - offset) * scale + pad
            for edge, offset, scale, pad in zip(
                detection.box, (0, 0, 0, 0), (0.5, 0.4) * 2, (1.5, 2.0) * 2, strict=True
            )
        ]
        inside_x = np.flatnonzero((middle >= corners[0]) & (middle < corners[2]))
        inside_y = np.flatnonzero((middle >= corners[1]) & (middle < corners[3]))
        expected = whole[inside_y[0] : inside_y[-1] + 1, inside_x[0] : inside_x[-1] + 1]
        assert np.array_equal(cells(detection.mask), expected)
        left, top = place.to_source(inside_x[0] * 2, inside_y[0] * 2)
        right, bottom = place.to_source((inside_x[-1] + 1) * 2, (inside_y[-1] + 1) * 2)
        assert detection.mask.box == pytest.approx((left, top, right, bottom))


def test_masks_of_noise_still_fit_into_a_message() -> None:
    count = 1000
    rows = np.zeros((1, count, 6), np.float32)
    rows[0] = (16, 16, 32, 32, 0.9, 1)
    prototypes = random(1, 1, 160, 160)
    found = decode(Yolov8Seg(iou_threshold=1.0, max_detections=count), rows, prototypes)
    assert len(found.detections) == count
    assert len(msgspec.msgpack.encode(found)) < 3 << 20


def test_a_box_smaller_than_a_cell_has_a_mask_of_one() -> None:
    rows, prototypes = seg_outputs(1)
    rows[0, 0, :4] = (3.9, 3.9, 0.2, 0.2)
    (found,) = decode(Yolov8Seg(), rows, prototypes).detections
    assert found.mask is not None
    assert (found.mask.width, found.mask.height) == (1, 1)
    assert found.mask.box == pytest.approx((4, 4, 8, 8))


def test_the_runs_of_a_mask_begin_with_what_is_outside() -> None:
    rows, prototypes = seg_outputs(1)
    prototypes[:] = 1.0
    for sign, runs in ((1.0, 0), (-1.0, 1)):
        rows[0, 0, 5:] = sign
        (found,) = decode(Yolov8Seg(), rows, prototypes).detections
        assert found.mask is not None
        area = found.mask.width * found.mask.height
        assert found.mask.runs == ((0, area) if runs == 0 else (area,))


def test_masks_are_made_for_kept_boxes_only() -> None:
    rows, prototypes = seg_outputs()
    rows[0, 12, 4] = 0.1
    rows[0, 12, 5:] = np.nan
    assert len(decode(Yolov8Seg(max_detections=2), rows, prototypes).detections) == 2


@pytest.mark.parametrize("where", ["coefficients", "prototypes"])
def test_a_mask_that_is_not_a_number_is_an_error(where: str) -> None:
    rows, prototypes = seg_outputs()
    if where == "coefficients":
        rows[0, 4, 7] = np.inf
    else:
        prototypes[0, 3, 5, 4] = np.nan
    with pytest.raises(EdgewardError, match="that are not numbers") as caught:
        decode(Yolov8Seg(), rows, prototypes)
    assert caught.value.code is Code.MODEL_RUN


def test_keypoints_that_are_not_numbers_are_an_error() -> None:
    rows = np.zeros((1, 20, 11), np.float32)
    rows[0, 3] = (16, 16, 8, 8, 0.9, 1, 2, 0.5, np.nan, 4, 0.5)
    with pytest.raises(EdgewardError, match="keypoints of 1 detections that are not numbers") as caught:
        decode(Yolov8Pose(keypoints=("a", "b")), rows)
    assert caught.value.code is Code.MODEL_RUN


def test_no_mask_makes_a_block_of_the_prototypes_size() -> None:
    rows = np.zeros((1, 37, 300), np.float32)
    rows[0, :5, 7] = (160, 160, 300, 300, 0.9)
    prototypes = random(1, 32, 80, 80)
    given = (rows, prototypes)
    decoder = build(Yolov8Seg(), *given)
    # Of the 32x32 tensor that the context has; the box is the whole picture.
    rows[0, :4, 7] = (16, 16, 32, 32)
    decoder.decode(given, HALF)
    tracemalloc.start()
    try:
        decoder.decode(given, HALF)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert prototypes.nbytes == 819_200
    assert peak < prototypes.nbytes / 4


def scores_of(grid: np.ndarray, channels: int) -> np.ndarray:
    """Scores ``[1, C, H, W]`` whose best channel is ``grid``, negative ones among them."""
    scores = random(1, channels, *grid.shape) * 0.1 - 5
    np.put_along_axis(scores[0], grid[np.newaxis], 1.0, axis=0)
    return scores


GRID = np.random.default_rng(3).integers(0, 5, (12, 20))


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "int32", "int64", "float32"])
def test_every_layout_gives_the_same_classes(layout: str) -> None:
    output = scores_of(GRID, 5)
    if layout == "nhwc":
        output = np.ascontiguousarray(output.transpose(0, 2, 3, 1))
    elif layout != "nchw":
        output = GRID[np.newaxis].astype(layout)
    spec = Semantic(layout="nhwc" if layout == "nhwc" else "nchw")
    found = decode(spec, output, labels="abcde").segmentation
    assert found is not None
    assert np.array_equal(classes(found), GRID)
    assert found.box == pytest.approx((0, 0, 64, 64))
    shares = {label: float((at == GRID).mean()) for at, label in enumerate("abcde")}
    assert found.shares == pytest.approx(shares)


def test_of_equal_scores_the_first_class_is_taken_in_both_layouts() -> None:
    output = np.zeros((1, 3, 2, 2), np.float32)
    for layout, given in (("nchw", output), ("nhwc", np.ascontiguousarray(output.transpose(0, 2, 3, 1)))):
        found = decode(Semantic(layout=layout), given, labels="abc").segmentation
        assert found is not None
        assert found.runs == ((0, 4),)


def test_indices_without_a_label_are_none() -> None:
    grid = np.array([[[0, 1, 2, -1], [255, 1 << 32, -(1 << 40), 1]]])
    found = decode(Semantic(), grid, labels="ab").segmentation
    assert found is not None
    assert classes(found).tolist() == [[0, 1, -1, -1], [-1, -1, -1, 1]]
    assert found.shares == {"a": 1 / 8, "b": 2 / 8}


@pytest.mark.parametrize(("activation", "at_half"), [("none", 0.5), ("sigmoid", 0.0)])
def test_one_class_is_there_or_not(activation: str, at_half: float) -> None:
    scores = np.array([[[[at_half, at_half - 0.01], [at_half + 0.01, -9]]]], np.float32)
    found = decode(Semantic(activation=activation), scores).segmentation
    assert found is not None
    assert classes(found).tolist() == [[0, -1], [0, -1]]


@pytest.mark.parametrize(
    ("place", "rows", "columns", "box"),
    [
        # The whole picture, centred: 64x32 in 32x32 leaves 8 pixels above and below, 4 cells each.
        (Placement(0.5, 0.5, 0, 8, 0, 0, 64, 32), slice(4, 12), slice(None), (0, 0, 64, 32)),
        (Placement(0.5, 0.5, 8, 0, 0, 0, 32, 64), slice(None), slice(4, 12), (0, 0, 32, 64)),
        # At the top left: the rest is padding.
        (Placement(0.5, 0.5, 0, 0, 0, 0, 64, 32), slice(0, 8), slice(None), (0, 0, 64, 32)),
        # The middle of a wider picture fills the tensor.
        (Placement(0.5, 0.5, 0, 0, 32, 0, 128, 64), slice(None), slice(None), (32, 0, 96, 64)),
        # A part of a picture, centred: as much padding below as above.
        (Placement(0.5, 0.5, 0, 8, 100, 100, 640, 480), slice(4, 12), slice(None), (100, 100, 164, 132)),
    ],
)
def test_the_padding_of_a_letterbox_is_cut_off(
    place: Placement, rows: slice, columns: slice, box: tuple[float, ...]
) -> None:
    grid = np.random.default_rng(4).integers(0, 3, (16, 16))
    found = decode(Semantic(), scores_of(grid, 3), labels="abc", place=place).segmentation
    assert found is not None
    assert np.array_equal(classes(found), grid[rows, columns])
    assert found.box == pytest.approx(box)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channel", range(5))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cells_that_are_not_numbers_are_an_error(value: float, channel: int, layout: str) -> None:
    output = scores_of(GRID, 5)
    output[0, channel, 3, 4] = value
    if layout == "nhwc":
        output = np.ascontiguousarray(output.transpose(0, 2, 3, 1))
    with pytest.raises(EdgewardError, match="not numbers") as caught:
        decode(Semantic(layout=layout), output, labels="abcde")
    assert caught.value.code is Code.MODEL_RUN


@pytest.mark.parametrize(("labels", "spec"), [("a", Semantic()), ("ab", Semantic())])
def test_a_cell_without_any_possible_class_is_an_error(labels: str, spec: Semantic) -> None:
    output = np.full((1, len(labels), 2, 2), -np.inf, np.float32)
    with pytest.raises(EdgewardError, match="not numbers"):
        decode(spec, output, labels=labels)


def test_more_classes_than_a_byte_counts_are_told_apart() -> None:
    grid = np.arange(300).reshape(20, 15)
    found = decode(Semantic(), scores_of(grid, 300), labels=[f"class {at}" for at in range(300)]).segmentation
    assert found is not None
    assert np.array_equal(classes(found), grid)


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "indices"])
def test_a_segmentation_makes_no_block_of_the_grid_s_size(layout: str) -> None:
    grid = np.repeat(np.repeat(np.arange(16).reshape(4, 4) % 5, 128, 0), 128, 1)
    output = grid[np.newaxis].astype(np.int32) if layout == "indices" else scores_of(grid, 5)
    if layout == "nhwc":
        output = np.ascontiguousarray(output.transpose(0, 2, 3, 1))
    decoder = build(Semantic(layout="nhwc" if layout == "nhwc" else "nchw"), output, labels="abcde")
    place = Placement(0.5, 0.5, 0, 4, 0, 0, 64, 48)
    decoder.decode((output,), place)
    tracemalloc.start()
    try:
        decoder.decode((output,), place)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300_000
    assert grid.size == 512 * 512


def test_noise_everywhere_still_fits_into_a_message() -> None:
    grid = np.random.default_rng(5).integers(0, 5, (1, 1024, 1024), dtype=np.int32)
    found = decode(Semantic(), grid, labels="abcde").segmentation
    assert found is not None
    assert len(msgspec.msgpack.encode(found)) < 2 << 20
    assert found.box == pytest.approx((0, 0, 64, 64))
    assert sum(found.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("spec", "shapes", "labels"),
    [
        (Semantic(), [(1, 3, 8, 8)], "ab"),
        (Semantic(layout="nhwc"), [(1, 2, 8, 8)], "ab"),
        (Semantic(), [(1, 2, None, 8)], "ab"),
        (Semantic(), [(1, 8)], "ab"),
        (Yolov8Seg(), [(1, 10, 20)], "ab"),
        (Yolov8Seg(), [(1, 10, 20), (1, 5, 8, 8)], "ab"),
        (Yolov8Seg(), [(1, 10, 20), (1, 4, None, 8)], "ab"),
        (Yolov8Pose(keypoints=("k",)), [(1, 10, 20)], "ab"),
        (Yolov8Pose(keypoints=("k",), visibility=False), [(1, 9, 20)], "ab"),
    ],
)
def test_outputs_that_a_decoder_does_not_read_are_refused(
    spec: Declaration, shapes: list[tuple[int | None, ...]], labels: str
) -> None:
    outputs = [Output(f"output{at}", "float32", shape) for at, shape in enumerate(shapes)]
    with pytest.raises(
        EdgewardError, match=f"the decoder {spec.__struct_config__.tag} with 2 labels reads"
    ) as caught:
        decoders.build(spec, context(*outputs, labels=tuple(labels)))
    assert caught.value.code is Code.BUNDLE_MANIFEST
