"""Several inputs, states, open dimensions and batches: each picture gets its own, and nobody another's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import batching, model
from runtime.errors import Code, EdgewardError
from runtime.inference import Inference, View
from runtime.ipc import EngineOptions
from runtime.pipeline import Pipeline
from runtime.source.frame import Frame, Picture
from runtime.stages import StageClock
from tests import models

pytestmark = pytest.mark.unit

EMBEDDING = {"decoder": "embedding", "normalise": False}
OUTPUT = (models.tensor("output", "float32", (1, 2)),)


def picture(level: int = 128, *, session: int = 0, width: int = 64, height: int = 32) -> Frame:
    """One even grey; ``level`` is the luma of full range."""
    size = width * height
    return Frame(
        picture=Picture("i420", width, height, "bt601", full_range=True),
        planes=(bytes([level]) * size, bytes([128]) * (size // 4), bytes([128]) * (size // 4)),
        strides=(width, width // 2, width // 2),
        index=0,
        session=session,
        pts_s=None,
        arrived_ns=0,
    )


def inference(folder: Path, made: bytes, **more: Any) -> Inference:
    settings: dict[str, Any] = {"task": "embedding", "postprocess": EMBEDDING, "outputs": OUTPUT} | more
    loaded = model.load(*models.bundle_folder(folder, made, **settings), EngineOptions())
    return Inference(loaded, StageClock())


def vectors(looker: Inference, views: Sequence[View]) -> list[tuple[float, ...]]:
    found = looker.look(views)
    for one in found:
        if isinstance(one, EdgewardError):
            raise one
    return [one.embedding for one in found if not isinstance(one, EdgewardError)]


def remembering(folder: Path, **state: Any) -> Inference:
    """Says ``(n, 2 n)`` in the n-th picture of a stream."""
    inputs = (
        models.tensor("images", "float32", (1, 3, 32, 32)),
        models.tensor("state_in", "float32", (1,), feed="state", from_output="state_out", **state),
    )
    outputs = (*OUTPUT, models.tensor("state_out", "float32", (1,)))
    made = models.counter(np.array([[1.0, 2.0]]))
    return inference(
        folder, made, inputs=inputs, outputs=outputs, task="tensors", postprocess={"decoder": "tensors"}
    )


def counts(looker: Inference, frame: Frame, stream: str) -> float:
    (found,) = looker.look([View(frame, stream)])
    assert not isinstance(found, EdgewardError)
    return float(np.frombuffer(found.tensors[0].data, np.float32)[0])


def test_each_stream_has_a_past_of_its_own(tmp_path: Path) -> None:
    looker = remembering(tmp_path)
    assert looker.stateful
    assert [counts(looker, picture(), "a") for _ in range(3)] == [1, 2, 3]
    assert [counts(looker, picture(), "b") for _ in range(2)] == [1, 2]
    assert counts(looker, picture(), "a") == 4


def test_warming_up_leaves_no_state_behind(tmp_path: Path) -> None:
    looker = remembering(tmp_path)
    Pipeline(looker, StageClock()).warm_up()
    assert not looker._batches[1].feeds._states[0].kept
    assert counts(looker, picture(), "a") == 1


def test_a_camera_that_was_opened_again_has_no_past(tmp_path: Path) -> None:
    looker = remembering(tmp_path)
    assert [counts(looker, picture(session=0), "a") for _ in range(2)] == [1, 2]
    assert [counts(looker, picture(session=1), "a") for _ in range(2)] == [1, 2]


def test_a_state_begins_with_the_numbers_of_the_manifest(tmp_path: Path) -> None:
    assert counts(remembering(tmp_path, value=[10.0]), picture(), "a") == 11


def test_a_state_that_is_no_number_does_not_outlive_its_picture(tmp_path: Path) -> None:
    looker = remembering(tmp_path, value=[1.0])
    assert counts(looker, picture(), "a") == 2
    broken = looker._batches[1].feeds._states[0]
    broken.kept["a"][1][:] = np.inf
    looker._decoder = _Refusing()
    (found,) = looker.look([View(picture(), "a")])
    assert isinstance(found, EdgewardError)
    assert "a" not in broken.kept


class _Refusing:
    def decode(self, *_: object) -> Any:
        raise EdgewardError(Code.MODEL_RUN, "the model gave 1 rows that are not numbers")


@pytest.mark.parametrize(
    ("feed", "value", "expected"),
    [
        ("value", {"value": [0.25, 4.0]}, (0.25, 4.0)),
        ("value", {"value": [3.0]}, (3.0, 3.0)),
        ("picture_size", {}, (32.0, 64.0)),
        ("picture_scale", {}, (0.5, 0.5)),
    ],
)
def test_inputs_beside_the_picture_get_what_the_manifest_says(
    tmp_path: Path, feed: str, value: dict[str, Any], expected: tuple[float, float]
) -> None:
    inputs = (
        models.tensor("images", "float32", (1, 3, 32, 32)),
        models.tensor("beside", "float32", (1, 2), feed=feed, **value),
    )
    looker = inference(tmp_path, models.echo("beside", (1, 2)), inputs=inputs)
    assert vectors(looker, [View(picture(), "a")]) == [expected]


def test_a_part_of_a_picture_is_told_with_its_own_size(tmp_path: Path) -> None:
    inputs = (
        models.tensor("images", "float32", (1, 3, 32, 32)),
        models.tensor("beside", "float32", (1, 2), feed="picture_size"),
    )
    looker = inference(tmp_path, models.echo("beside", (1, 2)), inputs=inputs)
    assert vectors(looker, [View(picture(), "a", (24, 16, 40, 12))]) == [(12.0, 40.0)]


def batched(folder: Path) -> Inference:
    """Says the brightness of each picture; any number of pictures at a time."""
    given = models.Input("images", "float32", ("batch", 3, 32, 32))
    inputs = (models.tensor("images", "float32", ("batch", 3, 32, 32)),)
    outputs = (models.tensor("output", "float32", ("batch", 1)),)
    return inference(
        folder, models.brightness(given), inputs=inputs, outputs=outputs, preprocess={"fit": "stretch"}
    )


@pytest.mark.parametrize("sizes", [(1,), (1, 2), (1, 2, 4)])
def test_every_picture_of_a_batch_gets_its_own_answer_in_its_place(
    tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    looker = batched(tmp_path)
    looker.sizes = sizes
    levels = [10, 200, 90, 30, 250, 0, 77]
    answers = vectors(looker, [View(picture(level), "a") for level in levels])
    assert [answer[0] for answer in answers] == pytest.approx(levels, abs=0.5)


def test_crops_of_one_frame_and_whole_frames_go_into_one_batch(tmp_path: Path) -> None:
    looker = batched(tmp_path)
    looker.sizes = (1, 2, 4)
    half = picture(20)
    luma = bytearray(half.planes[0])
    for row in range(32):
        luma[row * 64 + 32 : row * 64 + 64] = bytes([220]) * 32
    half = Frame(half.picture, (bytes(luma), *half.planes[1:]), half.strides, 0, 0, None, 0)
    views = [
        View(half, "a", (0, 0, 16, 16)),
        View(half, "a", (40, 0, 16, 16)),
        View(picture(100), "b"),
        View(half, "a", (40, 8, 24, 24)),
    ]
    answers = [answer[0] for answer in vectors(looker, views)]
    assert answers == pytest.approx([20, 220, 100, 220], abs=1)


def test_batch_sizes_are_measured_on_the_real_model_and_kept_only_when_open(tmp_path: Path) -> None:
    looker = batched(tmp_path / "open")
    looker.measure_batches(8)
    assert looker.sizes[0] == 1
    assert set(looker._batches) == set(looker.sizes)
    fixed = inference(tmp_path / "fixed", models.constant({"output": np.ones((1, 2), np.float32)}))
    fixed.measure_batches(8)
    assert fixed.sizes == (1,)


def test_open_sizes_take_the_numbers_of_the_manifest(tmp_path: Path) -> None:
    given = models.Input("images", "float32", (1, 3, "height", "width"))
    inputs = (models.tensor("images", "float32", (1, 3, "height", "width")),)
    outputs = (models.tensor("output", "float32", (1, 1)),)
    for height, width in ((32, 64), (96, 40)):
        looker = inference(
            tmp_path / f"{height}",
            models.brightness(given),
            inputs=inputs,
            outputs=outputs,
            variant={"dimensions": {"height": height, "width": width}},
            preprocess={"fit": "stretch"},
        )
        assert looker._batches[1].pictures.shape == (1, 3, height, width)
        assert vectors(looker, [View(picture(50), "a")])[0][0] == pytest.approx(50, abs=0.5)


def unbatched(folder: Path, shape: tuple[int | str, ...]) -> Inference:
    """Says the brightness of all pictures of the batch, in rows that are nobody's."""
    looker = inference(
        folder,
        models.brightness(models.Input("images", "float32", ("batch", 3, 32, 32))),
        inputs=(models.tensor("images", "float32", ("batch", 3, 32, 32)),),
        outputs=(models.tensor("output", "float32", shape),),
        preprocess={"fit": "stretch"},
        task="tensors",
        postprocess={"decoder": "tensors"},
    )
    looker.measure_batches(8)
    return looker


def test_a_model_whose_output_does_not_carry_the_batch_gets_one_picture_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows which rows are whose: one camera would get what another one saw."""
    monkeypatch.setattr(batching, "worthwhile", lambda measure, limit: (1, 2))
    assert unbatched(tmp_path / "rows", ("n", 1)).sizes == (1,)
    assert unbatched(tmp_path / "pictures", ("batch", 1)).sizes == (1, 2)


def test_a_picture_that_cannot_be_read_does_not_cost_another_camera_its_own(tmp_path: Path) -> None:
    looker = batched(tmp_path)
    looker.sizes = (1, 2)
    good = picture(200)
    broken = Frame(good.picture, (b"", b"", b""), good.strides, 0, 0, None, 0)
    refused, seen = looker.look([View(broken, "a"), View(good, "b")])
    assert isinstance(refused, EdgewardError)
    assert not isinstance(seen, EdgewardError)
    assert seen.embedding[0] == pytest.approx(200, abs=0.5)


@pytest.mark.parametrize("kind", [KeyError, MemoryError, SystemExit, OSError])
def test_whatever_an_engine_raises_when_it_runs_is_the_answer_to_that_picture(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    """A thread that ends with SystemExit ends without a word: the stream would look as if it had ended."""

    def run() -> None:
        raise kind

    looker = batched(tmp_path)
    looker._batches[1].binding.run = run  # type: ignore[method-assign]
    (found,) = looker.look([View(picture(), "a")])
    assert isinstance(found, EdgewardError)
    assert found.code is Code.MODEL_RUN
    assert kind.__name__ in found.what
