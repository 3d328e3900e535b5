"""Tiles cover the picture, and an object that several tiles see is one object."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.findings import Detection, Findings
from runtime.ipc import Tiling
from runtime.tiling import Tiles

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 1000, 600


def part(*detections: Detection) -> Findings:
    return Findings(detections=detections)


@given(
    st.integers(1, 9000),
    st.integers(1, 9000),
    st.integers(1, 16),
    st.integers(1, 16),
    st.floats(0, 0.5),
)
def test_tiles_lie_in_the_picture_and_leave_no_gap(
    width: int, height: int, columns: int, rows: int, overlap: float
) -> None:
    tiles = Tiles(Tiling(columns=columns, rows=rows, overlap=overlap, whole=False))
    crops = [crop for crop in tiles.crops(width, height) if crop is not None]
    assert len(crops) == len(tiles) == columns * rows
    for axis, length in ((0, width), (1, height)):
        spans = sorted({(crop[axis], crop[axis] + crop[axis + 2]) for crop in crops})
        assert spans[0][0] == 0
        assert max(end for _, end in spans) == length
        assert all(start < end <= length for start, end in spans)
        assert all(later[0] <= earlier[1] for earlier, later in pairwise(spans))


def test_neighbours_share_the_overlap_that_was_asked_for() -> None:
    (left, right) = Tiles(Tiling(columns=2, rows=1, overlap=0.25, whole=False)).crops(WIDTH, HEIGHT)
    assert left is not None
    assert right is not None
    assert left[0] + left[2] - right[0] == pytest.approx(0.25 * left[2], abs=1)


def test_an_object_that_a_tile_cuts_gives_way_to_the_whole_of_it() -> None:
    tiles = Tiles(Tiling(columns=2, rows=1, overlap=0.2, whole=False))
    (left, right) = tiles.crops(WIDTH, HEIGHT)
    assert left is not None
    assert right is not None
    edge = left[0] + left[2]  # the left tile ends in the middle of the object and is surer of its half
    half = Detection("part", 0.95, (edge - 60.0, 100.0, float(edge), 200.0))
    whole = Detection("part", 0.70, (edge - 60.0, 100.0, edge + 60.0, 200.0))
    assert tiles.merge([part(half), part(whole)], WIDTH, HEIGHT).detections == (whole,)


def test_an_object_that_no_tile_sees_whole_is_still_reported() -> None:
    tiles = Tiles(Tiling(columns=2, rows=1, overlap=0.2, whole=False))
    (left, _) = tiles.crops(WIDTH, HEIGHT)
    assert left is not None
    edge = float(left[0] + left[2])
    half = Detection("belt", 0.9, (10.0, 100.0, edge, 200.0))
    assert tiles.merge([part(half), part()], WIDTH, HEIGHT).detections == (half,)


def test_objects_of_two_classes_or_side_by_side_are_two() -> None:
    tiles = Tiles(Tiling(columns=1, rows=1, whole=True))
    assert len(tiles) == 2
    car = Detection("car", 0.9, (100.0, 100.0, 300.0, 300.0))
    person = Detection("person", 0.8, (110.0, 110.0, 300.0, 300.0))
    beside = Detection("car", 0.7, (290.0, 100.0, 490.0, 300.0))
    again = Detection("car", 0.6, (102.0, 98.0, 301.0, 300.0))
    merged = tiles.merge([part(car, beside), part(person, again)], WIDTH, HEIGHT).detections
    assert merged == (car, person, beside)


def test_what_one_look_tells_apart_stays_apart() -> None:
    """Somebody far away beside the shoulder of somebody near: the box of one lies in that of the other."""
    tiles = Tiles(Tiling(columns=1, rows=1, whole=True))
    near = Detection("person", 0.9, (100.0, 100.0, 400.0, 500.0))
    far = Detection("person", 0.8, (150.0, 150.0, 200.0, 250.0))
    merged = tiles.merge([part(near, far), part(near, far)], WIDTH, HEIGHT).detections
    assert merged == (near, far)


BOXES = st.tuples(st.floats(0, 900), st.floats(0, 500), st.floats(1, 99), st.floats(0, 1))


@given(st.lists(BOXES, max_size=30))
def test_merging_keeps_some_box_over_every_box_and_the_best_comes_first(
    boxes: list[tuple[float, float, float, float]],
) -> None:
    tiles = Tiles(Tiling(columns=1, rows=1, whole=True))
    seen = [Detection("x", score, (x, y, x + side, y + side)) for x, y, side, score in boxes]
    merged = tiles.merge([part(*seen[::2]), part(*seen[1::2])], WIDTH, HEIGHT).detections
    assert set(merged) <= set(seen)
    assert [one.score for one in merged] == sorted((one.score for one in merged), reverse=True)
    for one in seen:
        assert any(
            min(one.box[2], other.box[2]) > max(one.box[0], other.box[0])
            and min(one.box[3], other.box[3]) > max(one.box[1], other.box[1])
            for other in merged
        )
