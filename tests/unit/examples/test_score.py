from __future__ import annotations

import numpy as np
import pytest

from examples.conveyor.score import Detection, average_precision, judge_frame, overlap, score
from examples.conveyor.truth import Truth

pytestmark = pytest.mark.unit

BOX = (10.0, 10.0, 30.0, 30.0)
AWAY = (100.0, 100.0, 120.0, 120.0)
HALF = (10.0, 10.0, 30.0, 20.0)  # overlap with BOX is exactly one half


def test_overlap_is_intersection_over_union() -> None:
    ious = overlap(BOX, [BOX, HALF, (20, 20, 40, 40), AWAY, (30, 10, 50, 30)])
    assert ious == pytest.approx([1, 0.5, 100 / 700, 0, 0])
    assert overlap(BOX, []).shape == (0,)


def test_an_overlap_of_exactly_one_half_is_a_hit() -> None:
    assert judge_frame([Detection("nut", HALF, 0.9)], [Truth("nut", BOX, 1, 1)]) == [True]


def test_the_better_score_takes_the_part_and_the_other_is_a_false_alarm() -> None:
    detections = [Detection("nut", BOX, 0.6), Detection("nut", HALF, 0.9)]
    assert judge_frame(detections, [Truth("nut", BOX, 1, 1)]) == [False, True]


def test_a_second_best_overlap_is_taken_if_the_best_is_gone() -> None:
    truths = [Truth("nut", (0, 0, 20, 20), 1, 1), Truth("nut", (4, 0, 24, 20), 1, 2)]
    detections = [Detection("nut", (1, 0, 21, 20), 0.9), Detection("nut", (1, 0, 21, 20), 0.8)]
    assert judge_frame(detections, truths) == [True, True]


def test_another_label_is_no_hit() -> None:
    result = score([([Detection("damaged", BOX, 0.9)], [Truth("nut", BOX, 1, 1)])])
    assert (result.hits, result.false_alarms, result.misses) == (0, 1, 1)


def test_a_part_less_than_half_visible_is_neither_hit_nor_miss() -> None:
    truths = [Truth("nut", BOX, 0.49, 1)]
    assert judge_frame([Detection("nut", BOX, 0.9)], truths) == [None]
    assert judge_frame([Detection("bolt", BOX, 0.9)], truths) == [None]
    assert judge_frame([Detection("nut", AWAY, 0.9)], truths) == [False]
    result = score([([], truths), ([Detection("nut", BOX, 0.9)], truths)])
    assert (result.hits, result.false_alarms, result.misses) == (0, 0, 0)


def test_a_part_half_visible_counts() -> None:
    assert score([([], [Truth("nut", BOX, 0.5, 1)])]).misses == 1


def test_the_threshold_cuts_hits_and_false_alarms_but_not_average_precision() -> None:
    truths = [Truth("nut", BOX, 1, 1), Truth("nut", AWAY, 1, 2)]
    detections = [
        Detection("nut", BOX, 0.9),
        Detection("nut", AWAY, 0.3),
        Detection("nut", (0, 0, 5, 5), 0.2),
    ]
    all_in, cut = score([(detections, truths)]), score([(detections, truths)], threshold=0.5)
    assert (all_in.hits, all_in.false_alarms, all_in.misses) == (2, 1, 0)
    assert (cut.hits, cut.false_alarms, cut.misses) == (1, 0, 1)
    assert (cut.precision, cut.recall) == (1.0, 0.5)
    assert all_in.mean_ap == cut.mean_ap == 1.0


def test_average_precision_of_a_worked_example() -> None:
    # hit, false, hit, false, false, hit of 4 parts: precision 1, 2/3, 1/2 at recall 1/4, 2/4, 3/4
    hits = np.array([True, False, True, False, False, True])
    scores = np.linspace(0.9, 0.4, 6)
    expected = (1 + 2 / 3 + 1 / 2) / 4
    assert average_precision(scores, hits, 4) == pytest.approx(expected)
    shuffled = np.array([3, 0, 5, 1, 4, 2])
    assert average_precision(scores[shuffled], hits[shuffled], 4) == pytest.approx(expected)


def test_precision_that_rises_again_lifts_what_came_before() -> None:
    # false, hit, hit of 2: 1/2 and 2/3, both count as 2/3
    hits = np.array([False, True, True])
    assert average_precision(np.array([0.9, 0.8, 0.7]), hits, 2) == pytest.approx(2 / 3)


def test_mean_ap_is_over_the_labels_that_occur() -> None:
    truths = [Truth("nut", BOX, 1, 1), Truth("bolt", AWAY, 1, 2)]
    result = score([([Detection("nut", BOX, 0.9)], truths)])
    assert result.ap == {"bolt": 0.0, "nut": 1.0}
    assert result.mean_ap == 0.5


def test_average_precision_needs_a_part() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        average_precision(np.zeros(0), np.zeros(0, bool), 0)


def test_nothing_to_find_and_nothing_found_is_perfect() -> None:
    result = score([([], [])])
    assert (result.precision, result.recall, result.mean_ap) == (1.0, 1.0, 1.0)
