"""A served model says what it takes, answers what the engine answers, and disturbs no stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import ipc, model
from runtime.errors import EdgewardError
from runtime.inference import Inference, View
from runtime.serve.interface import interface_of
from runtime.serve.messages import ServeOptions
from runtime.serve.request import Inputs
from runtime.serve.served_model import ServedModel
from runtime.serve.server import InferenceServer
from runtime.stages import StageClock
from tests import models
from tests.unit.runtime.frames import frame

pytestmark = pytest.mark.unit

EMBEDDING: dict[str, Any] = {
    "preprocess": {"fit": "stretch"},
    "postprocess": {"decoder": "embedding", "normalise": False},
    "task": "embedding",
}
ANSWER = np.array([[1.0, 2.0]], np.float32)


def loaded(folder: Path, data: bytes, **manifest: Any) -> model.Model:
    where, digest = models.bundle_folder(folder, data, **(EMBEDDING | manifest))
    return model.load(where, digest, ipc.EngineOptions())


def batched(tmp_path: Path) -> model.Model:
    picture = ("batch", 3, 32, 32)
    return loaded(
        tmp_path,
        models.brightness(models.Input("images", "float32", picture)),
        inputs=(models.tensor("images", "float32", picture),),
        outputs=(models.tensor("output", "float32", ("batch", 1)),),
    )


def run(served: ServedModel, arrays: Sequence[Any], batch: int = 1) -> tuple[list[Any], int]:
    """The outputs, and in how many steps."""
    work, steps = served.answer(Inputs(tuple(arrays), batch, (0,))), 1
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, steps
        steps += 1


def test_a_model_of_fixed_shape_takes_one_picture(tmp_path: Path) -> None:
    made = loaded(
        tmp_path, models.constant({"output": ANSWER}), outputs=models.tensors_of({"output": ANSWER})
    )
    interface = interface_of(made, max_batch=8)
    (images,), (output,) = interface.inputs, interface.outputs
    assert (interface.name, interface.version, interface.platform) == ("made", "1.0.0", "onnxruntime")
    assert (images.name, images.datatype, images.open_shape) == ("images", "FP32", (1, 3, 32, 32))
    assert (output.name, output.datatype, output.open_shape) == ("output", "FP32", (1, 2))
    assert interface.max_batch == 1


def test_a_model_with_an_open_batch_takes_several_cut_into_what_it_is_bound_for(tmp_path: Path) -> None:
    made = batched(tmp_path)
    served = ServedModel(made, (1, 2), max_batch=8)
    assert served.interface.inputs[0].open_shape == (-1, 3, 32, 32)
    assert served.interface.outputs[0].open_shape == (-1, 1)
    assert served.interface.max_batch == 8
    pictures = np.arange(5, dtype=np.float32).repeat(3 * 32 * 32).reshape(5, 3, 32, 32)
    (output,), steps = run(served, [pictures], 5)
    np.testing.assert_allclose(output, np.arange(5, dtype=np.float32)[:, None])
    assert steps == 3, "two, two and one: between them frames have their turn"


def test_what_the_bundle_feeds_with_constants_is_not_offered_and_stays(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        models.echo("threshold", (1, 2)),
        inputs=(
            models.tensor("images", "float32", (1, 3, 32, 32)),
            models.tensor("threshold", "float32", (1, 2), feed="value", value=[0.25, 0.75]),
        ),
        outputs=(models.tensor("output", "float32", (1, 2)),),
    )
    inference = Inference(made, StageClock())
    served = ServedModel(made, inference.sizes, max_batch=8)
    assert [tensor.name for tensor in served.interface.inputs] == ["images"]
    (output,), _ = run(served, [np.full((1, 3, 32, 32), 9, np.float32)])
    np.testing.assert_array_equal(output, [[0.25, 0.75]])
    (found,) = inference.look([View(frame(0), "cam")])
    assert found.embedding == (0.25, 0.75)  # type: ignore[union-attr]


def test_a_models_state_is_the_callers_and_that_of_streams_is_not_touched(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        models.counter(ANSWER),
        inputs=(
            models.tensor("images", "float32", (1, 3, 32, 32)),
            models.tensor("state_in", "float32", (1,), feed="state", from_output="state_out"),
        ),
        outputs=(models.tensor("output", "float32", (1, 2)), models.tensor("state_out", "float32", (1,))),
    )
    inference = Inference(made, StageClock())
    served = ServedModel(made, inference.sizes, max_batch=8)
    assert [tensor.name for tensor in served.interface.inputs] == ["images", "state_in"]
    black = np.zeros((1, 3, 32, 32), np.float32)
    for count in range(1, 4):
        (found,) = inference.look([View(frame(count), "cam")])
        assert found.embedding == (count, 2.0 * count)  # type: ignore[union-attr]
        (output,), _ = run(served, [black, np.array([100.0], np.float32)])
        np.testing.assert_array_equal(output, [[101.0, 202.0]])


def test_the_answer_to_a_frame_is_the_same_whatever_was_asked_before_it(tmp_path: Path) -> None:
    made = batched(tmp_path)
    inference = Inference(made, StageClock())
    inference.measure_batches(4)
    served = ServedModel(made, inference.sizes, max_batch=4)
    views = [View(frame(at), "cam") for at in range(4)]
    before = [found.embedding for found in inference.look(views)]  # type: ignore[union-attr]
    (output,), _ = run(served, [np.full((4, 3, 32, 32), 1e6, np.float32)], 4)
    kept = output.copy()
    assert [found.embedding for found in inference.look(views)] == before  # type: ignore[union-attr]
    np.testing.assert_array_equal(output, kept)


def test_an_output_whose_size_the_model_decides_is_open(tmp_path: Path) -> None:
    rows = np.array([[1.0, 2.0], [0.0, 9.0], [1.0, 4.0]], np.float32)
    made = loaded(
        tmp_path,
        models.found_rows(rows),
        outputs=(models.tensor("output", "float32", (1, "n", 2)),),
        postprocess={"decoder": "tensors"},
        task="tensors",
    )
    served = ServedModel(made, (1,), max_batch=8)
    assert served.interface.outputs[0].open_shape == (1, -1, 2)
    (output,), _ = run(served, [np.zeros((1, 3, 32, 32), np.float32)])
    assert output.shape == (1, 2, 2)


def test_a_bool_of_the_model_is_a_bool_of_the_protocol(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        models.constant({"output": ANSWER}, (models.Input("images", "bool"),)),
        inputs=(models.tensor("images", "uint8", (1, 3, 32, 32)),),
        outputs=models.tensors_of({"output": ANSWER}),
    )
    (images,) = interface_of(made, max_batch=1).inputs
    assert (images.dtype, images.datatype) == ("uint8", "BOOL")


def test_what_the_engine_says_when_it_fails_comes_as_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = batched(tmp_path)
    served = ServedModel(made, (1,), max_batch=1)

    def broken() -> None:
        raise SystemExit("driver gone")

    monkeypatch.setattr(made.engine.bind(1), "run", broken)
    with pytest.raises(EdgewardError, match="driver gone"):
        run(served, [np.zeros((1, 3, 32, 32), np.float32)])


def test_the_memory_of_requests_is_counted_by_what_the_model_takes(tmp_path: Path) -> None:
    served = ServedModel(batched(tmp_path), (1,), max_batch=8)
    largest = 8 * 3 * 32 * 32 * 4
    assert served.interface.request_bytes == largest
    assert served.interface.request_numbers == 8 * 3 * 32 * 32
    options = ServeOptions(listen="127.0.0.1:8001", max_queue=3)
    server = InferenceServer(options, [served], wake=lambda: None)
    messages = 3 + 1 + 3
    assert server.memory_mb == pytest.approx(20 + 6 * messages * (largest + 65536) / 1e6)
