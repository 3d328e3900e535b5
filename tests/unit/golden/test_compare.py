"""The author's own answer agrees, another one does not, and nothing that is no number ever does."""

from __future__ import annotations

import math
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.bundle.metrics import (
    CellsAgree,
    ClassesAgree,
    DetectionsAgree,
    Metric,
    TensorsAgree,
    VectorsAgree,
)
from runtime.findings import Detection, Findings
from runtime.golden.compare import compare
from runtime.golden.detections import overlaps

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
    sure = f.thing((90, 90, 120, 130))
    over, under = f.detections(sure, f.thing(score=0.46)), f.detections(sure, f.thing(score=0.37))
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


def one_by_one(expected: Findings, found: Findings, metric: DetectionsAgree) -> list[tuple[int, int]]:
    """Greedy matching as its definition says it."""
    ious = overlaps(*(np.array([one.box for one in side.detections]) for side in (expected, found)))
    candidates = sorted(
        (-ious[i, j], i, j)
        for i, ours in enumerate(expected.detections)
        for j, theirs in enumerate(found.detections)
        if ours.label == theirs.label
        and abs(ours.score - theirs.score) <= metric.score_tolerance
        and ious[i, j] >= metric.iou
    )
    pairs: list[tuple[int, int]] = []
    for _, i, j in candidates:
        if all(i != one and j != two for one, two in pairs):
            pairs.append((i, j))
    return pairs


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 1 << 30), count=st.integers(1, 40))
def test_pairs_are_those_that_going_through_one_by_one_gives(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)

    def crowd() -> Findings:
        corners = rng.integers(0, 12, (count, 2)) * 4.0
        return f.detections(
            *(
                f.thing((x, y, x + 40, y + 40), float(score), str(label))
                for (x, y), score, label in zip(
                    corners, rng.uniform(0.5, 0.8, count), rng.integers(0, 2, count), strict=True
                )
            )
        )

    expected, found = crowd(), crowd()
    pairs = one_by_one(expected, found, METRIC)
    figures = compare([expected], [found], METRIC).figures
    assert figures["recall"] == pytest.approx(len(pairs) / count)
    ious = overlaps(*(np.array([one.box for one in side.detections]) for side in (expected, found)))
    assert figures["mean_iou"] == pytest.approx(np.mean([ious[pair] for pair in pairs]) if pairs else 0)


def test_frames_without_anything_agree_when_nothing_is_found() -> None:
    nothing = f.detections()
    assert compare([ONE, nothing], [ONE, nothing], METRIC).passed
    assert not compare([ONE, nothing], [ONE, ONE], METRIC).passed


SPARSE = np.zeros((1, 200), np.float32)
SPARSE[0, 7] = 1


@pytest.mark.parametrize(
    ("expected", "metric"),
    [
        (f.detections(), METRIC),
        (f.detections(f.thing(score=0.4)), METRIC),
        (ONE, DetectionsAgree(min_matched=0, min_iou=0)),
        (f.classes(), ClassesAgree()),
        (f.classes(("cat", 0.7)), ClassesAgree(min_matched=0)),
        (f.vector(0, 0), VectorsAgree()),
        (f.vector(1, 0), VectorsAgree(min_cosine=-1)),
        (f.tensors(a=SPARSE), TensorsAgree()),
        (f.tensors(a=SPARSE[:, 7:8]), TensorsAgree(atol=2)),
        (f.tensors(a=SPARSE[:0]), TensorsAgree()),
        (f.cells([[1, 1], [1, 1]]), CellsAgree()),
        (f.cells([[0] * 40] * 39 + [[0] * 39 + [1]]), CellsAgree(min_iou=0)),
        (Findings(), CellsAgree()),
    ],
)
def test_golden_results_with_which_a_dead_model_would_agree_prove_nothing(
    expected: Findings, metric: Metric
) -> None:
    agreement = compare([expected, expected], [expected, expected], metric)
    assert not agreement.passed
    assert agreement.why.startswith("these golden results prove nothing")


def test_a_class_of_which_nothing_is_found_is_refused_however_few_it_has() -> None:
    crowd = [f.thing((60 * at, 10, 60 * at + 50, 60)) for at in range(40)]
    rare = f.thing((10, 100, 50, 150), label="helmet")
    expected = [f.detections(*crowd, rare), f.detections(rare), f.detections(rare)]
    lost = [f.detections(*crowd), f.detections(), f.detections()]
    agreement = compare(expected, lost, METRIC)
    assert agreement.figures["matched"] > 0.9
    assert not agreement.passed
    assert agreement.why.startswith("lost_classes 1 (at most 0); ")
    assert "nothing found of 'helmet', expected 3 times" in agreement.why
    # One of it is enough to tell that the class is there; of two nobody can tell.
    assert compare(expected, [*lost[:2], expected[2]], METRIC).passed
    assert compare([expected[0], f.detections(), expected[2]], lost, METRIC).passed


def test_a_crowd_on_both_sides_is_compared_in_little_memory_and_time() -> None:
    crowd = f.detections(*(f.thing((at % 7, 0, 50, 50), 0.5 + at / 40_000) for at in range(10_000)))
    tracemalloc.start()
    began = time.process_time()
    assert compare([crowd], [crowd], METRIC).figures["expected"] == 1000
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150 << 20
    assert took < 10


def test_detections_without_a_number_do_not_hide_behind_a_crowd() -> None:
    crowd = [f.thing((0, 0, 50, 50), 0.9) for _ in range(1000)]
    broken = f.detections(*crowd, *(f.thing(score=NAN) for _ in range(1000)))
    assert compare([f.detections(*crowd)], [broken], METRIC).figures["precision"] == 0


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


def test_a_score_that_is_no_number_is_refused_whatever_the_tolerance() -> None:
    assert not compare([CLASSES], [f.classes(("cat", NAN))], ClassesAgree(score_tolerance=1)).passed


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
    ).filter(any),
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
        (f.tensors(a=np.full_like(OUTPUT, INF)), False),
        (Findings(tensors=(replace(f.tensors(a=OUTPUT).tensors[0], data=b"1234"),)), False),
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


@pytest.mark.parametrize(
    "changes",
    [
        {"box": (-INF, -INF, INF, INF)},
        {"box": (NAN,) * 4},
        {"box": (5, 5, 5, 5)},
        {"runs": ((0, 5),)},
        {"runs": ()},
        {"runs": ((0, 1 << 60),), "width": 1 << 30, "height": 1 << 30},
        {"runs": ((1 << 40, 1600),)},
    ],
)
def test_a_segmentation_that_is_not_what_it_says_is_refused(changes: dict[str, Any]) -> None:
    right = f.cells(FLOOR)
    assert right.segmentation is not None
    broken = Findings(segmentation=replace(right.segmentation, **changes))
    assert not compare([right], [broken], CellsAgree()).passed


def test_cells_of_another_resolution_are_compared_at_the_same_points() -> None:
    rows, box = [[0] * 40] * 20 + [[3] * 40] * 20, (0, 0, 64, 48)
    finer = np.repeat(np.repeat(rows, 3, 0), 2, 1).tolist()
    agreement = compare([f.cells(rows, box)], [f.cells(finer, box)], CellsAgree())
    assert agreement.figures == {"share": 1, "mean_iou": 1, "classes": 2}


@pytest.mark.parametrize("metric", [METRIC, ClassesAgree(), TensorsAgree(), CellsAgree(), VectorsAgree()])
def test_answers_to_other_frames_than_the_golden_ones_are_no_comparison(metric: Metric) -> None:
    for expected, found in (([ONE], []), ([ONE], [ONE, ONE]), ([], [])):
        with pytest.raises(ValueError, match="golden frames"):
            compare(expected, found, metric)
