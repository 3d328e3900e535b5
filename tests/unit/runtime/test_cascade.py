"""A cascade looks at the right crops, tells what it saw where it saw it, and never hides a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import ipc, model
from runtime.cascade import Cascade, Step
from runtime.errors import Code, EdgewardError
from runtime.findings import Detection, Findings
from runtime.inference import Inference
from runtime.ipc import EngineOptions
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock
from tests import models

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 200, 100
DARK, BRIGHT = (10.0, 10.0, 50.0, 50.0), (120.0, 20.0, 180.0, 80.0)


def picture() -> Frame:
    """Dark on the left, bright on the right."""
    luma = np.full((HEIGHT, WIDTH), 40, np.uint8)
    luma[:, WIDTH // 2 :] = 200
    chroma = bytes([128]) * (WIDTH * HEIGHT // 4)
    return Frame(
        picture=Picture("i420", WIDTH, HEIGHT, "bt601", full_range=True),
        planes=(luma, chroma, chroma),
        strides=(WIDTH, WIDTH // 2, WIDTH // 2),
        index=0,
        session=0,
        pts_s=None,
        arrived_ns=0,
    )


def looker(folder: Path, made: bytes | None = None, **more: Any) -> Inference:
    given = models.Input("images", "float32", ("batch", 3, 32, 32))
    settings: dict[str, Any] = {
        "inputs": (models.tensor("images", "float32", ("batch", 3, 32, 32)),),
        "outputs": (models.tensor("output", "float32", ("batch", 1)),),
        "preprocess": {"fit": "stretch"},
        "postprocess": {"decoder": "embedding", "normalise": False},
        "task": "embedding",
    } | more
    made = models.brightness(given) if made is None else made
    return Inference(
        model.load(*models.bundle_folder(folder, made, **settings), EngineOptions()), StageClock()
    )


def look(cascade: Cascade, *detections: Detection) -> tuple[Detection, ...]:
    return cascade.look_inside(picture(), "cam", Findings(detections=detections)).detections


def cascade(inference: Inference, **changes: Any) -> Cascade:
    spec = ipc.Stage(**{"name": "tone", "bundle_dir": "", "manifest_sha256": ""} | changes)
    return Cascade([Step(spec, inference)], ("car", "person"))


def tones(detections: tuple[Detection, ...]) -> list[float | None]:
    return [one.inside[0].findings.embedding[0] if one.inside else None for one in detections]


@pytest.mark.parametrize("sizes", [(1,), (1, 2)])
def test_each_detection_gets_what_was_seen_in_its_own_crop(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    inference = looker(tmp_path)
    inference.sizes = sizes
    found = look(
        cascade(inference),
        Detection("car", 0.9, BRIGHT),
        Detection("person", 0.8, DARK),
        Detection("car", 0.7, (110.0, 10.0, 190.0, 90.0)),
    )
    assert tones(found) == pytest.approx([200, 40, 200], abs=1)
    assert [one.inside[0].stage for one in found] == ["tone"] * 3
    assert [one.score for one in found] == [0.9, 0.8, 0.7]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"labels": ("person",)}, [None, 40, None]),
        ({"min_score": 0.75}, [200, 40, None]),
        ({"max_crops": 1}, [200, None, None]),
        ({"min_size": 30}, [200, 40, None]),
    ],
)
def test_only_the_detections_that_the_stage_asks_for_are_looked_into(
    tmp_path: Path, changes: dict[str, Any], seen: list[float | None]
) -> None:
    found = look(
        cascade(looker(tmp_path), **changes),
        Detection("car", 0.9, BRIGHT),
        Detection("person", 0.8, DARK),
        Detection("car", 0.7, (110.0, 10.0, 135.0, 90.0)),
    )
    for tone, expected in zip(tones(found), seen, strict=True):
        assert tone == (None if expected is None else pytest.approx(expected, abs=1))


def test_a_crop_grows_and_stays_inside_the_picture(tmp_path: Path) -> None:
    # The dark box grown by its own width reaches to x = 90, still dark; by three times, into the light.
    near = tones(look(cascade(looker(tmp_path / "a"), grow=1.0), Detection("car", 0.9, DARK)))
    far = tones(look(cascade(looker(tmp_path / "b"), grow=3.0), Detection("car", 0.9, DARK)))
    assert near == pytest.approx([40], abs=1)
    assert far[0] is not None
    assert 50 < far[0] < 190


def test_a_picture_in_which_nothing_was_found_costs_no_inference(tmp_path: Path) -> None:
    inference = looker(tmp_path)
    before = dict(inference._clock.cpu_s)
    assert look(cascade(inference)) == ()
    assert inference._clock.cpu_s == before


def test_what_is_found_in_a_crop_is_in_pixels_of_the_picture(tmp_path: Path) -> None:
    # In the crop's tensor of 32x32: centre (12, 12), 8 wide. The crop is 60 wide, so a tensor pixel is 1.875.
    head = np.zeros((1, 21, 6), np.float32)
    head[0, 5] = [0.5, 0.5, 0, 0, 0.9, 1.0]
    answers = {"output": head}
    inference = looker(
        tmp_path,
        models.constant(answers),
        inputs=(models.tensor("images", "float32", (1, 3, 32, 32)),),
        outputs=models.tensors_of(answers),
        labels=["plate"],
        postprocess={"decoder": "yolox"},
        task="detection",
    )
    (found,) = look(cascade(inference), Detection("car", 0.9, BRIGHT))
    (plate,) = found.inside[0].findings.detections
    assert plate.label == "plate"
    assert plate.box == pytest.approx((120 + 8 * 1.875, 20 + 8 * 1.875, 120 + 16 * 1.875, 20 + 16 * 1.875))


def test_a_stage_that_fails_makes_the_picture_s_result_unknown(tmp_path: Path) -> None:
    answers = {"output": np.full((1, 1), np.nan, np.float32)}
    inference = looker(
        tmp_path,
        models.constant(answers),
        inputs=(models.tensor("images", "float32", (1, 3, 32, 32)),),
        outputs=models.tensors_of(answers),
    )
    stage = cascade(inference)
    with pytest.raises(EdgewardError, match="stage tone") as caught:
        look(stage, Detection("car", 0.9, BRIGHT))
    assert caught.value.code is Code.MODEL_RUN
    with pytest.raises(EdgewardError, match="stage tone"):
        stage.warm_up(picture())


def test_a_label_that_the_first_model_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EdgewardError, match="'lorry'") as caught:
        cascade(looker(tmp_path), labels=("lorry",))
    assert caught.value.code is Code.CONFIG_VALUE
    assert "car, person" in caught.value.remedy


def test_a_model_with_a_state_cannot_look_at_crops(tmp_path: Path) -> None:
    inference = looker(
        tmp_path,
        models.counter(np.array([[1.0]])),
        inputs=(
            models.tensor("images", "float32", (1, 3, 32, 32)),
            models.tensor("state_in", "float32", (1,), feed="state", from_output="state_out"),
        ),
        outputs=(
            models.tensor("output", "float32", (1, 1)),
            models.tensor("state_out", "float32", (1,)),
        ),
        postprocess={"decoder": "tensors"},
        task="tensors",
    )
    with pytest.raises(EdgewardError, match="without state"):
        cascade(inference)


def test_the_best_are_looked_into_in_whatever_order_they_come(tmp_path: Path) -> None:
    looked = look(
        cascade(looker(tmp_path), max_crops=1), Detection("car", 0.3, DARK), Detection("car", 0.9, BRIGHT)
    )
    assert [len(one.inside) for one in looked] == [0, 1]


def test_a_box_beside_the_picture_gives_a_crop_inside_it(tmp_path: Path) -> None:
    """Decoders of other packages need not clip their boxes."""
    boxes = [(WIDTH + 10.0, 0.0, WIDTH + 50.0, 40.0), (-80.0, -80.0, -20.0, -20.0), (0.0, 300.0, 20.0, 400.0)]
    looked = look(cascade(looker(tmp_path)), *(Detection("car", 0.9, box) for box in boxes))
    assert all(one.inside for one in looked)
