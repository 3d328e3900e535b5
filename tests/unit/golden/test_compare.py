"""The author's own answer agrees, another one does not, and nothing that is no number ever does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.bundle.metrics import (
    CellsAgree,
    ClassesAgree,
    DetectionsAgree,
    Metric,
    TensorsAgree,
    VectorsAgree,
)
from runtime.findings import Detection, Findings, Keypoint
from runtime.golden.compare import compare

from . import found as f

pytestmark = pytest.mark.unit

NAN, INF = math.nan, math.inf
ONE = f.detections(f.thing())
METRIC = DetectionsAgree(min_score=0.45)


@settings(max_examples=60, deadline=None)
@given(expected=st.lists(f.random_detections(), min_size=1, max_size=4), data=st.data())
def test_identical_detections_agree_in_any_order(expected: list[Findings], data: st.DataObject) -> None:
    shuffled = [Findings(detections=tuple(data.draw(st.permutations(one.detections)))) for one in expected]
    agreement = compare(expected, shuffled, METRIC)
    assert agreement.passed
    assert agreement.figures["matched"] == 1
    assert agreement.figures["mean_iou"] == pytest.approx(1)
    assert agreement.figures["score_difference"] == pytest.approx(0, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(expected=f.random_detections(), by=st.floats(0.6, 3))
def test_boxes_that_moved_are_refused(expected: Findings, by: float) -> None:
    # One of each class, so that no box lands on another's place.
    alone = {one.label: one for one in expected.detections}
    expected = Findings(detections=tuple(alone.values()))
    agreement = compare([expected], [f.moved(expected, by)], METRIC)
    assert not agreement.passed
    assert agreement.figures["matched"] == 0


@settings(max_examples=60, deadline=None)
@given(expected=f.random_detections(), found=f.random_detections())
def test_which_side_is_the_author_s_does_not_matter_to_the_share(expected: Findings, found: Findings) -> None:
    one = compare([expected], [found], METRIC).figures
    two = compare([found], [expected], METRIC).figures
    assert one["matched"] == two["matched"]
    assert (one["recall"], one["precision"]) == (two["precision"], two["recall"])
    assert all(math.isfinite(value) for value in one.values())


@settings(max_examples=40, deadline=None)
@given(expected=f.random_detections(), place=st.integers(0, 4), wrong=st.sampled_from([NAN, INF, -INF]))
def test_what_is_no_number_is_refused(expected: Findings, place: int, wrong: float) -> None:
    numbers = [*expected.detections[0].box, expected.detections[0].score]
    numbers[place] = wrong
    broken = Detection(expected.detections[0].label, numbers[4], tuple(numbers[:4]))  # type: ignore[arg-type]
    found = Findings(detections=(broken,) * len(expected.detections))
    agreement = compare([expected], [found], METRIC)
    assert not agreement.passed
    assert all(math.isfinite(value) for value in agreement.figures.values())


@pytest.mark.parametrize(
    ("found", "figures"),
    [
        (f.detections(), {"recall": 0, "precision": 1, "found": 0}),
        (f.detections(f.thing(), f.thing((90, 90, 120, 130))), {"recall": 1, "precision": 0.5}),
        (f.detections(f.thing(label="other")), {"matched": 0, "best_iou": 0}),
        (f.detections(f.thing(score=0.79)), {"matched": 0, "best_iou": 1}),
        (f.detections(f.thing((10, 10, 50, 30))), {"matched": 0, "best_iou": 0.4}),
        (f.detections(f.thing((10, 10, 50, 43))), {"matched": 1, "mean_iou": 0.66}),
    ],
)
def test_the_figures_say_how_far_off_it_is(found: Findings, figures: dict[str, float]) -> None:
    agreement = compare([ONE], [found], METRIC)
    assert not agreement.passed
    assert {name: agreement.figures[name] for name in figures} == pytest.approx(figures)


def test_a_refusal_says_the_figures_their_bounds_and_the_worst_frame() -> None:
    agreement = compare([ONE, ONE, ONE], [ONE, f.detections(), f.detections(f.thing(), f.thing())], METRIC)
    assert agreement.why == (
        "matched 0.667 (at least 0.9); 2 of 3 expected detections found, 2 of 3 found ones expected, "
        "mean overlap with the nearest of the class 0.667; most of them in frame 1"
    )


@pytest.mark.parametrize("score", [0.36, 0.45 - 1e-6])
def test_what_may_fall_on_either_side_of_the_threshold_is_not_missed(score: float) -> None:
    doubtful = f.detections(f.thing(), f.thing((90, 90, 120, 130), score))
    assert compare([doubtful], [ONE], METRIC).passed
    assert compare([ONE], [doubtful], METRIC).passed


def test_a_detection_may_be_matched_with_one_below_the_score_that_counts() -> None:
    over, under = f.detections(f.thing(score=0.46)), f.detections(f.thing(score=0.37))
    assert compare([over], [under], METRIC).passed
    assert compare([under], [over], METRIC).passed


def test_two_expected_ones_are_not_both_matched_with_one_found() -> None:
    crowd = f.detections(f.thing(), f.thing((11, 10, 51, 60)))
    assert compare([crowd], [ONE], METRIC).figures["recall"] == 0.5


def test_the_better_overlap_is_matched_first() -> None:
    expected = f.detections(f.thing((10, 10, 50, 60)), f.thing((20, 10, 60, 60)))
    found = f.detections(f.thing((20, 10, 60, 60)), f.thing((12, 10, 52, 60)))
    figures = compare([expected], [found], METRIC).figures
    assert figures["matched"] == 1
    assert figures["mean_iou"] == pytest.approx((1 + 38 / 42) / 2)


def test_frames_without_anything_agree_when_nothing_is_found() -> None:
    nothing = f.detections()
    assert compare([nothing], [nothing], METRIC).passed
    assert not compare([nothing], [ONE], METRIC).passed


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


CLASSES = f.classes(("cat", 0.7), ("dog", 0.2), ("cow", 0.1))


@pytest.mark.parametrize(
    ("found", "passes"),
    [
        (CLASSES, True),
        (f.classes(("cat", 0.62), ("cow", 0.2), ("dog", 0.18)), True),
        (f.classes(("cat", 0.59), ("dog", 0.2)), False),
        (f.classes(("dog", 0.7), ("cat", 0.7)), True),
        (f.classes(("cow", 0.7), ("cat", 0.7)), False),
        (f.classes(("cow", 0.7), ("dog", 0.2), ("cat", 0.7)), False),
        (f.classes(("cat", NAN), ("dog", NAN)), False),
        (f.classes(), False),
    ],
)
def test_the_best_class_must_be_among_the_best_with_its_score(found: Findings, passes: bool) -> None:
    agreement = compare([CLASSES], [found], ClassesAgree())
    assert agreement.passed is passes
    assert all(math.isfinite(value) for value in agreement.figures.values())


def test_with_top_1_the_best_class_is_the_same() -> None:
    swapped = f.classes(("dog", 0.71), ("cat", 0.7))
    assert not compare([CLASSES], [swapped], ClassesAgree(top_k=1)).passed


def test_a_label_that_stands_for_two_classes_counts_with_its_better_score() -> None:
    cranes = f.classes(("crane", 0.8), ("crane", 0.1))
    assert compare([cranes], [cranes], ClassesAgree()).passed


def test_the_share_of_pictures_decides() -> None:
    wrong = f.classes(("cow", 1.0))
    assert compare([CLASSES] * 10, [CLASSES] * 9 + [wrong], ClassesAgree()).passed
    agreement = compare([CLASSES] * 10, [CLASSES] * 8 + [wrong] * 2, ClassesAgree())
    assert not agreement.passed
    assert "matched 0.8 (at least 0.9)" in agreement.why
    assert agreement.why.endswith("frames that differ: 8, 9")


@settings(max_examples=50, deadline=None)
@given(
    vector=st.lists(
        st.floats(-1e200, 1e200).filter(lambda x: x == 0 or abs(x) > 1e-100), min_size=1, max_size=20
    ),
    length=st.floats(1e-3, 1e3),
)
def test_a_vector_agrees_with_itself_however_long(vector: list[float], length: float) -> None:
    agreement = compare([f.vector(*vector)], [f.vector(*(x * length for x in vector))], VectorsAgree())
    assert agreement.passed, agreement.why


@pytest.mark.parametrize(
    "found", [f.vector(1, -1), f.vector(0, 0), f.vector(1, NAN), f.vector(1), f.vector(), f.vector(INF, 1)]
)
def test_another_vector_is_refused(found: Findings) -> None:
    agreement = compare([f.vector(1, 1), f.vector(1, 1)], [f.vector(1, 1), found], VectorsAgree())
    assert not agreement.passed
    assert "in frame 1" in agreement.why


OUTPUT = np.linspace(-3, 3, 200, dtype=np.float32).reshape(1, 10, 20)


@pytest.mark.parametrize(
    ("found", "passes"),
    [
        (f.tensors(a=OUTPUT), True),
        (f.tensors(a=OUTPUT * 1.04), True),
        (f.tensors(a=OUTPUT + 0.2), False),
        (f.tensors(a=np.full_like(OUTPUT, NAN)), False),
        (f.tensors(a=np.where(OUTPUT.max() == OUTPUT, NAN, OUTPUT).astype(np.float32)), False),
        (f.tensors(a=OUTPUT.reshape(10, 20)), False),
        (f.tensors(a=OUTPUT.astype(np.float64)), False),
        (f.tensors(b=OUTPUT), False),
        (f.tensors(a=OUTPUT, b=OUTPUT), False),
        (f.tensors(), False),
    ],
)
def test_raw_tensors_must_be_near(found: Findings, passes: bool) -> None:
    agreement = compare([f.tensors(a=OUTPUT)], [found], TensorsAgree())
    assert agreement.passed is passes, agreement.why
    assert all(math.isfinite(value) for value in agreement.figures.values())


def test_one_output_that_is_wrong_is_not_hidden_by_a_large_one_that_is_right() -> None:
    expected, found = np.zeros((1, 10_000), np.float32), np.ones((1, 3), np.float32)
    agreement = compare(
        [f.tensors(a=expected, b=found)], [f.tensors(a=expected, b=found * 2)], TensorsAgree()
    )
    assert not agreement.passed
    assert "of the output 'b', which differs by up to 1" in agreement.why


FLOOR = [[0] * 40] * 38 + [[0] * 36 + [1] * 4] * 2


@pytest.mark.parametrize(
    ("grid", "passes"),
    [
        (FLOOR, True),
        ([[0] * 40] * 40, False),
        ([[1] * 40] * 40, False),
        ([[0] * 20] * 19 + [[0] * 18 + [1] * 2], True),
    ],
)
def test_cells_must_have_the_same_class_and_no_class_may_vanish(grid: list[list[int]], passes: bool) -> None:
    agreement = compare([f.cells(FLOOR)], [f.cells(grid)], CellsAgree())
    assert agreement.passed is passes, agreement.why


def test_a_segmentation_that_is_missing_is_refused() -> None:
    assert not compare([f.cells(FLOOR)], [Findings()], CellsAgree()).passed


@pytest.mark.parametrize("metric", [METRIC, ClassesAgree(), TensorsAgree(), CellsAgree(), VectorsAgree()])
def test_answers_to_other_frames_than_the_golden_ones_are_no_comparison(metric: Metric) -> None:
    for expected, found in (([ONE], []), ([ONE], [ONE, ONE]), ([], [])):
        with pytest.raises(ValueError, match="golden frames"):
            compare(expected, found, metric)
