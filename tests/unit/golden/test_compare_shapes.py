"""Keypoints and masks agree with the author's when they are where his are, and are what they say."""

from __future__ import annotations

import math

import pytest

from runtime.bundle.metrics import DetectionsAgree
from runtime.findings import Keypoint, Mask
from runtime.golden.compare import compare

from . import found as f

pytestmark = pytest.mark.unit

NAN, INF = math.nan, math.inf
ONE = f.detections(f.thing())
METRIC = DetectionsAgree(min_score=0.45)


@pytest.mark.parametrize(("x", "score"), [(NAN, 0.0), (20, NAN), (INF, 0.0)])
def test_a_keypoint_that_is_no_number_is_refused_however_little_it_counts(x: float, score: float) -> None:
    expected = f.detections(f.thing(keypoints=(Keypoint("a", 20, 20, 0.0),)))
    found = f.detections(f.thing(keypoints=(Keypoint("a", x, 20, score),)))
    assert compare([expected], [expected], METRIC).passed
    assert not compare([expected], [found], METRIC).passed


@pytest.mark.parametrize(("distance", "passes"), [(0, True), (2, True), (10, False), (NAN, False)])
def test_keypoints_must_be_near(distance: float, passes: bool) -> None:
    expected = f.detections(f.thing(keypoints=f.points((20, 20), (40, 50))))
    found = f.detections(f.thing(keypoints=f.points((20 + distance, 20), (40, 50 + distance))))
    agreement = compare([expected], [found], METRIC)
    assert agreement.passed is passes
    assert math.isfinite(agreement.figures["keypoint_distance"])


def test_keypoints_that_the_author_s_path_hardly_saw_count_little() -> None:
    expected = f.detections(f.thing(keypoints=(Keypoint("a", 20, 20, 0.9), Keypoint("b", 40, 50, 0.02))))
    found = f.detections(f.thing(keypoints=(Keypoint("a", 20, 20, 0.9), Keypoint("b", 10, 15, 0.02))))
    assert compare([expected], [found], METRIC).passed


def test_keypoints_that_are_missing_are_refused() -> None:
    expected = f.detections(f.thing(keypoints=f.points((20, 20))))
    assert not compare([expected], [ONE], METRIC).passed
    assert not compare([ONE], [expected], METRIC).passed


BOX = (10.0, 10.0, 50.0, 60.0)


@pytest.mark.parametrize(
    ("rows", "iou"),
    [
        (("##..", "##..", "##..", "##.."), 1),
        (("..##", "..##", "..##", "..##"), 0),
        (("###.", "###.", "##..", "##.."), 0.8),
        (("#.", "#."), 1),
    ],
)
def test_masks_must_overlap_whatever_their_resolution(rows: tuple[str, ...], iou: float) -> None:
    expected = f.detections(f.thing(mask=f.mask(BOX, "##..", "##..", "##..", "##..")))
    found = f.detections(f.thing(mask=f.mask(BOX, *rows)))
    agreement = compare([expected], [found], METRIC)
    assert agreement.figures["mask_iou"] == pytest.approx(iou, abs=0.02)
    assert agreement.passed is (iou >= 0.8)


def test_a_mask_on_another_place_of_the_grid_is_compared_in_pixels() -> None:
    expected = f.detections(f.thing(mask=f.mask((10, 10, 50, 50), "####", "####", "####", "####")))
    same = f.mask((0, 0, 60, 60), "......", ".####.", ".####.", ".####.", ".####.", "......")
    assert compare([expected], [f.detections(f.thing(mask=same))], METRIC).figures["mask_iou"] > 0.95


def test_a_mask_that_is_missing_is_refused() -> None:
    expected = f.detections(f.thing(mask=f.mask(BOX, "##", "##")))
    assert not compare([expected], [ONE], METRIC).passed


@pytest.mark.parametrize(
    "box", [(-INF, 10, INF, 60), (NAN,) * 4, (-1e300, -1e300, 1e300, 1e300), (9, 9, 9, 9)]
)
@pytest.mark.parametrize("row", ["##", ".."])
def test_a_mask_over_a_box_that_is_none_is_refused(box: f.Box, row: str) -> None:
    expected = f.detections(f.thing(mask=f.mask(BOX, "##", "##")))
    assert not compare([expected], [f.detections(f.thing(mask=f.mask(box, row, row)))], METRIC).passed


@pytest.mark.parametrize("runs", [(), (5,), (-1, 5), (1 << 40,), (1 << 70, 4)])
def test_a_mask_that_is_not_what_it_says_is_refused(runs: tuple[int, ...]) -> None:
    expected = f.detections(f.thing(mask=f.mask(BOX, "##", "##")))
    broken = f.detections(f.thing(mask=Mask(BOX, 2, 2, runs)))
    assert not compare([expected], [broken], METRIC).passed


def test_a_mask_is_not_an_empty_one_over_a_wide_box() -> None:
    expected = f.detections(f.thing(mask=f.mask(BOX, "##", "##")))
    wide = f.mask((-1e6, -1e6, 1e6, 1e6), "..", "..")
    assert compare([expected], [f.detections(f.thing(mask=wide))], METRIC).figures["mask_iou"] == 0
