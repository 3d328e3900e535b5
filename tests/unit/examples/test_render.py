from __future__ import annotations

import numpy as np
import pytest

from examples.conveyor.layout import LONGEST, Belt, Part, Placed, draw_part, stream
from examples.conveyor.metal import Light, Sprite
from examples.conveyor.render import Scene, _paste
from examples.conveyor.truth import LABELS

pytestmark = pytest.mark.unit

SMALL = (640, 360)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(7, *SMALL)


def test_a_frame_depends_on_seed_and_number_only(scene: Scene) -> None:
    later, _ = scene.frame(40)
    image, truths = scene.frame(3)
    fresh_image, fresh_truths = Scene(7, *SMALL).frame(3)
    assert np.array_equal(image, fresh_image)
    assert truths == fresh_truths
    assert not np.array_equal(image, later)


def test_iterating_gives_the_same_frames_as_asking_for_them(scene: Scene) -> None:
    for index, (image, truths) in zip(range(3), scene, strict=False):
        expected, expected_truths = scene.frame(index)
        assert np.array_equal(image, expected)
        assert truths == expected_truths


def test_another_seed_is_another_scene(scene: Scene) -> None:
    assert not np.array_equal(scene.frame(0)[0], Scene(8, *SMALL).frame(0)[0])


def test_a_frame_is_a_bgr_picture_of_the_size_asked_for(scene: Scene) -> None:
    image, truths = scene.frame(0)
    assert image.shape == (360, 640, 3)
    assert image.dtype == np.uint8
    for truth in truths:
        x1, y1, x2, y2 = truth.box
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 360
        assert truth.label in LABELS
        assert 0 < truth.visible <= 1


def test_parts_keep_their_identity_and_move_to_the_right_with_the_belt(scene: Scene) -> None:
    first = {truth.part_id: truth for truth in scene.frame(10)[1]}
    moved = 0
    for index in (11, 12):
        for truth in scene.frame(index)[1]:
            before = first.get(truth.part_id)
            if before is not None and before.visible == truth.visible == 1:
                assert before.label == truth.label
                travelled = scene.camera.travel(index / 15) - scene.camera.travel(10 / 15)
                assert truth.box[0] - before.box[0] == pytest.approx(travelled)
                assert truth.box[1] == before.box[1]
                moved += 1
    assert moved


def test_part_ids_differ_within_a_frame(scene: Scene) -> None:
    for index in range(0, 200, 20):
        ids = [truth.part_id for truth in scene.frame(index)[1]]
        assert len(ids) == len(set(ids))


def painted_alone(scene: Scene, index: int, part: Part) -> np.ndarray:
    """One part in white on black as the frame's window shows it: which pixels it fills, [H, W] bool."""
    opacity = part.sprite.opacity
    white = Sprite(np.full((*opacity.shape, 3), 255, np.float32), opacity, np.zeros_like(opacity))

    def strip(number: int) -> np.ndarray:
        canvas = np.zeros((scene.height, scene.belt.cell_width, 3), np.float32)
        _paste(canvas, Placed(white, part.x, part.y), number * scene.belt.cell_width)
        return canvas.astype(np.uint8)

    scene._strip = strip
    return scene._exposed(-scene.camera.travel(index / 15))[..., 0] > 127


@pytest.mark.parametrize(("size", "seed", "index"), [((1280, 720), 7, 0), (SMALL, 11, 25), (SMALL, 12, 60)])
def test_a_box_is_tight_around_the_pixels_of_its_part(size: tuple[int, int], seed: int, index: int) -> None:
    scene = Scene(seed, *size)
    scene.camera.defocus = scene.camera.exposure = 0.0
    truths = {truth.part_id: truth for truth in scene.frame(index)[1]}
    parts = [part for number in range(-20, 0) for part in scene.belt.cell(number).parts]
    checked = 0
    for part in parts:
        if part.part_id not in truths or part.seen.sum() < part.area:
            continue
        drawn = painted_alone(scene, index, part)
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        # The belt lies between whole pixels: what half covers a pixel may fall to either side.
        assert np.abs(np.array(truths[part.part_id].box) - seen).max() <= 1.0, part.label
        assert truths[part.part_id].visible == pytest.approx(drawn.sum() / part.area, abs=0.04)
        checked += 1
    assert checked >= 3


def test_the_visible_share_falls_to_zero_at_the_edge(scene: Scene) -> None:
    shares: dict[int, list[float]] = {}
    for index in range(0, 120, 2):
        for truth in scene.frame(index)[1]:
            if truth.box[2] == SMALL[0]:
                shares.setdefault(truth.part_id, []).append(truth.visible)
    longest = max(shares.values(), key=len)
    assert longest == sorted(longest, reverse=True)
    assert longest[-1] < 0.7


@pytest.mark.parametrize("label", LABELS)
def test_parts_are_70_to_172_pixels_long(label: str) -> None:
    light = Light.draw(stream(1, 3))
    rng = stream(1, 99)
    for _ in range(12):
        mask = draw_part(label, rng, 1.0, light).mask
        rows, columns = np.nonzero(mask)
        points = np.stack([rows, columns]) - np.array([[rows.mean()], [columns.mean()]])
        turns = np.linspace(0, np.pi, 36)
        spans = [np.ptp(np.cos(turn) * points[0] + np.sin(turn) * points[1]) for turn in turns]
        assert 66 <= max(spans) <= LONGEST
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()


def test_no_part_hides_more_than_an_eighth_of_another_and_none_hides_damage() -> None:
    belt = Belt(5, SMALL[1], 0, Light.draw(stream(5, 3)))
    belt.crowd = 7.0
    leaning = 0
    for number in range(40):
        for part in belt.cell(number).parts:
            seen = part.seen.sum() / part.area
            assert seen >= 0.875
            leaning += seen < 1
            assert seen == 1 or part.label != "damaged"
    assert leaning
