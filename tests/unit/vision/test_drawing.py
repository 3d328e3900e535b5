"""What is drawn into a picture lies where it was found, and its names can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from runtime.annotate import Annotator
from runtime.findings import Classified, Detection, Findings, Inside, Keypoint, Mask, Segmentation
from runtime.ipc import Result
from runtime.source.frame import Frame, Picture
from runtime.vision.drawing import COLOURS, Drawing, _ink

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 640, 360
GROUND = 100


def drawn(**found: Any) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
    Drawing(cv2).draw(picture, result(**found))
    return picture


def result(**found: Any) -> Result:
    return Result(
        stream="cam",
        session=0,
        frame=0,
        pts_s=0.0,
        arrived_ns=0,
        done_ns=0,
        width=WIDTH,
        height=HEIGHT,
        **found,
    )


def changed(picture: np.ndarray) -> np.ndarray:
    """bool ``[H, W]``."""
    return (picture != GROUND).any(axis=2)


def extent(flags: np.ndarray) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of what is set, the last two inclusive."""
    ys, xs = np.nonzero(flags)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


@pytest.mark.parametrize("far", [1e4, -1e4, 3e9, 1e30])
def test_a_keypoint_far_outside_is_not_drawn(far: float) -> None:
    def pose(*points: Keypoint) -> np.ndarray:
        return drawn(detections=(Detection("person", 0.9, (100.0, 100.0, 200.0, 200.0), keypoints=points),))

    outside = (Keypoint("hand", far, 100.0, 0.9), Keypoint("foot", 100.0, far, 0.9))
    assert np.array_equal(pose(*outside), pose())
    near = Keypoint("hand", -1.0, 50.0, 0.9)
    assert changed(pose(near))[50, 0]


def test_nothing_found_leaves_the_picture_as_it_is() -> None:
    assert not changed(drawn()).any()


def test_a_box_is_drawn_on_its_edges_with_its_name_above() -> None:
    flags = changed(drawn(detections=(Detection("person", 0.9, (200, 150, 300, 250)),)))
    assert flags[150, 210:290].all()
    assert flags[250, 200:300].all()
    assert flags[150:250, 200].all()
    assert flags[150:250, 300].all()
    assert not flags[160:240, 210:290].any()
    name = flags.copy()
    name[150:] = False
    x1, y1, x2, y2 = extent(name)
    assert x1 == 200
    assert 120 < y1 < y2 == 149
    assert x2 > 260


@pytest.mark.parametrize(
    "box", [(0, 0, 50, 50), (600, 300, 640, 360), (-20, -20, 700, 400), (5, 355, 9, 359)]
)
def test_a_name_stays_in_the_picture(box: tuple[float, ...]) -> None:
    with_name = changed(drawn(detections=(Detection("a rather long name", 0.9, box),)))
    without = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
    cv2.rectangle(without, *[(round(box[at]), round(box[at + 1])) for at in (0, 2)], COLOURS[0], 1)
    name = with_name & ~changed(without)
    # About 160 x 14 pixels at this size: nothing of it is cut off.
    assert name.sum() > 1500


@pytest.mark.parametrize("colour", COLOURS)
def test_letters_stand_out_from_their_ground(colour: tuple[int, int, int]) -> None:
    def luminance(bgr: tuple[int, int, int]) -> float:
        linear = [(value / 255) ** 2.2 for value in bgr]
        return 0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2]

    light, dark = sorted((luminance(colour), luminance(_ink(colour))), reverse=True)
    # What WCAG 2.2 asks for large letters.
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_a_label_keeps_its_colour_from_picture_to_picture() -> None:
    drawing = Drawing(cv2)
    person, car = Detection("person", 0.9, (200, 150, 300, 250)), Detection("car", 0.8, (400, 150, 500, 250))
    colours = []
    for detections in ((person, car), (car,), (car, person)):
        picture = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
        drawing.draw(picture, result(detections=detections))
        colours.append(tuple(picture[200, 400].tolist()))
    assert colours == [COLOURS[1]] * 3


def test_keypoints_are_dots_where_they_were_seen() -> None:
    points = (Keypoint("head", 250, 200, 0.9), Keypoint("foot", 270, 220, 0.1), Keypoint("far", 9999, -9, 1))
    plain = drawn(detections=(Detection("person", 0.9, (200, 150, 300, 250)),))
    picture = drawn(detections=(Detection("person", 0.9, (200, 150, 300, 250), points),))
    x1, y1, x2, y2 = extent((picture != plain).any(axis=2))
    assert 245 < x1 <= 250 <= x2 < 255
    assert 195 < y1 <= 200 <= y2 < 205
    assert tuple(picture[200, 250].tolist()) == COLOURS[0]


def test_a_mask_tints_its_cells_and_no_others() -> None:
    # 2x2 cells of 50 pixels: the upper right and the lower left.
    mask = Mask((200, 150, 300, 250), 2, 2, (1, 2, 1))
    picture = drawn(detections=(Detection("person", 0.9, (200, 150, 300, 250), mask=mask),))
    tinted = np.array([GROUND // 2 + part // 2 for part in COLOURS[0]])
    inner = slice(155, 195), slice(255, 295)
    assert (picture[inner] == tinted).all()
    assert (picture[205:245, 205:245] == tinted).all()
    assert not changed(picture)[155:195, 205:245].any()
    assert not changed(picture)[205:245, 255:295].any()
    assert (picture[175, 251] == tinted).all()
    assert not changed(picture)[175, 249]


@pytest.mark.parametrize(
    "box", [(-50, -50, 50, 50), (600, 320, 700, 420), (10, 10, 10.2, 10.2), (700, 500, 800, 600)]
)
def test_a_mask_over_the_edge_is_cut(box: tuple[float, float, float, float]) -> None:
    mask = Mask(box, 3, 3, (0, 9))
    picture = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
    Drawing(cv2).draw(picture, result(detections=(Detection("p", 0.9, (300, 200, 310, 210), mask=mask),)))
    x1, y1, x2, y2 = (
        max(0, round(box[0])),
        max(0, round(box[1])),
        min(640, round(box[2])),
        min(360, round(box[3])),
    )
    assert changed(picture)[y1:y2, x1:x2].all()


def test_a_segmentation_tints_each_class_in_its_colour_and_says_how_much() -> None:
    found = Segmentation(
        box=(320, 180, 640, 360),
        width=4,
        height=2,
        runs=((7, 2), (-1, 2), (3, 1), (7, 1), (-1, 2)),
        shares={"road": 3 / 8, "tree": 1 / 8},
    )
    picture = drawn(segmentation=found)
    road, tree = ([GROUND // 2 + part // 2 for part in colour] for colour in COLOURS[:2])
    assert (picture[180:270, 320:480] == road).all()
    assert (picture[270:360, 320:400] == tree).all()
    assert (picture[270:360, 400:480] == road).all()
    assert not changed(picture)[:, 480:].any()
    legend = changed(picture)
    legend[:, 320:] = False
    x1, y1, x2, y2 = extent(legend)
    assert (x1, y1) == (0, 0)
    assert x2 > 40
    assert 20 < y2 < 60
    assert tuple(picture[0, 0].tolist()) == COLOURS[0]


def test_classes_of_the_picture_stand_at_the_top_left_best_first() -> None:
    one = extent(changed(drawn(classes=(Classified("cat", 0.9),))))
    two = extent(changed(drawn(classes=(Classified("cat", 0.9), Classified("dog", 0.1)))))
    assert one[:2] == two[:2] == (0, 0)
    assert two[3] > one[3] * 1.8


def test_what_a_cascade_found_is_drawn_with_its_object() -> None:
    box = (200.0, 100.0, 400.0, 300.0)
    plain = drawn(detections=(Detection("car", 0.9, box),))
    plate = Detection("plate", 0.8, (260, 240, 340, 280), (Keypoint("corner", 300, 250, 1.0),))
    nested = Inside("plates", Findings(detections=(plate,)))
    picture = drawn(detections=(Detection("car", 0.9, box, inside=(nested,)),))
    difference = (picture != plain).any(axis=2)
    assert difference[240, 270:330].any()
    assert difference[280, 260:340].all()
    assert difference[240:280, 340].all()
    assert difference[250, 300]
    named = Inside("colour", Findings(classes=(Classified("red", 0.7),)))
    difference = (drawn(detections=(Detection("car", 0.9, box, inside=(named,)),)) != plain).any(axis=2)
    x1, y1, x2, y2 = extent(difference)
    assert x1 == 200
    assert 100 <= y1 < y2 < 130
    assert x2 > 260
    mask = Mask((260, 240, 340, 280), 1, 1, (0, 1))
    masked = Inside(
        "plates", Findings(detections=(Detection("plate", 0.8, (260, 240, 340, 280), mask=mask),))
    )
    assert changed(drawn(detections=(Detection("car", 0.9, box, inside=(masked,)),)))[250:270, 270:330].all()


def test_a_picture_that_failed_says_so() -> None:
    assert changed(drawn(status="failed", why="the model gave 3 rows that are not numbers")).sum() > 1000


def test_a_film_has_what_was_drawn(tmp_path: Path) -> None:
    planes = (bytes([128]) * (WIDTH * HEIGHT), *[bytes([128]) * (WIDTH * HEIGHT // 4)] * 2)
    annotator = Annotator(tmp_path / "out.mp4")
    for index in range(3):
        frame = Frame(
            picture=Picture("i420", WIDTH, HEIGHT, "bt601", full_range=False),
            planes=planes,
            strides=(WIDTH, WIDTH // 2, WIDTH // 2),
            index=index,
            session=0,
            pts_s=index / 10,
            arrived_ns=0,
        )
        mask = Mask((200, 150, 300, 250), 1, 1, (0, 1))
        annotator.write(
            frame, result(detections=(Detection("person", 0.9, (200, 150, 300, 250), mask=mask),))
        )
    annotator.close()
    with av.open(str(tmp_path / "out.mp4")) as film:
        pictures = [frame.to_ndarray(format="bgr24").astype(int) for frame in film.decode(video=0)]
    assert len(pictures) == 3
    for picture in pictures:
        inside, outside = picture[200, 250], picture[300, 500]
        assert abs(outside - 130).max() < 8
        assert inside[1] > outside[1] + 20
