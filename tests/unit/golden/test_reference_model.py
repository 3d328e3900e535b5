"""The reference path feeds a model as devices do, through each engine's plain API, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import model
from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.golden.make import chosen
from runtime.golden.reference import engines
from runtime.golden.reference.model import Reference
from runtime.inference import Inference, View
from runtime.ipc import EngineOptions
from runtime.model import Model
from runtime.stages import StageClock
from tests import models
from tests.unit.vision.test_every_decoder_through_its_manifest import grey

pytestmark = pytest.mark.unit

PICTURE = models.tensor("images", "float32", (1, 3, 32, 32))
RAW = {"task": "tensors", "labels": (), "postprocess": {"decoder": "tensors"}}


def loaded(folder: Path, data: bytes, **more: Any) -> Model:
    return model.load(*models.bundle_folder(folder, data, **(RAW | more)), EngineOptions())


def reference(of: Model) -> Reference:
    return Reference(of.manifest, of.variant, of.read, where="made")


def numbers(found: Findings) -> list[float]:
    (tensor,) = found.tensors
    return np.frombuffer(tensor.data, tensor.dtype).tolist()


@pytest.mark.parametrize(
    ("feed", "shape", "wanted"),
    [
        ({"feed": "picture_size"}, (1, 2), [48, 64]),
        # 64x48 in 32x32, letterboxed: half the size.
        ({"feed": "picture_scale"}, (1, 2), [0.5, 0.5]),
        ({"feed": "value", "value": [0.25]}, (3,), [0.25] * 3),
        ({"feed": "value", "value": [1, 2, 3, 4]}, (2, 2), [1, 2, 3, 4]),
    ],
)
def test_each_feed_is_what_devices_give(
    feed: dict[str, Any], shape: tuple[int, ...], wanted: list[float], tmp_path: Path
) -> None:
    of = loaded(
        tmp_path,
        models.echo("extra", shape),
        inputs=[PICTURE, models.tensor("extra", "float32", shape, **feed)],
        outputs=[models.tensor("output", "float32", shape)],
    )
    slow = reference(of).look(grey())
    (fast,) = Inference(of, StageClock()).look([View(grey(), "cam")])
    assert numbers(slow) == wanted
    assert slow == fast


def test_a_state_begins_anew_with_each_golden_frame(tmp_path: Path) -> None:
    of = loaded(
        tmp_path,
        models.counter(np.array([[2.0]])),
        inputs=[PICTURE, models.tensor("state_in", "float32", (1,), feed="state", from_output="state_out")],
        outputs=[models.tensor("output", "float32", (1, 1)), models.tensor("state_out", "float32", (1,))],
    )
    slow = reference(of)
    first = slow.look(grey())
    assert slow.look(grey()) == first
    assert first.tensors[0].data == np.float32(2).tobytes()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_one_model_answers_the_same_through_each_engine(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    picture = models.Input(shape=("batch", 3, 32, 32))
    of = loaded(
        tmp_path,
        models.brightness(picture),
        inputs=[models.tensor("images", "float32", ("batch", 3, 32, 32))],
        outputs=[models.tensor("output", "float32", ("batch", 1))],
        variant={"engine": engine},
        preprocess={"fit": "stretch"},
    )
    # Luma 90 of 16 to 235 is 86.2 of 255.
    assert numbers(reference(of).look(grey())) == pytest.approx([86], abs=0.5)


def test_versions_name_the_installed_package() -> None:
    assert engines.version("onnxruntime").startswith("onnxruntime 1.")
    assert engines.version("tensorrt") == ""


def test_the_manifest_s_tensors_must_be_the_model_s(tmp_path: Path) -> None:
    folder, _ = models.bundle_folder(
        tmp_path,
        models.constant({"output": np.ones((1, 4), np.float32)}),
        outputs=[models.tensor("output", "float16", (1, 4))],
        **RAW,
    )
    manifest = model.parse_manifest((folder / "manifest.json").read_bytes(), where="made")
    slow = Reference(manifest, manifest.variants[0], lambda name: (folder / name).read_bytes(), where="made")
    with pytest.raises(EdgewardError, match=r"is float32 .* in the model, not float16") as refused:
        slow.look(grey())
    assert refused.value.code is Code.MODEL_MISMATCH


def test_a_class_without_a_label_is_the_model_s_fault(tmp_path: Path) -> None:
    row = np.array([[[8, 8, 24, 24, 0.9, 5]]], np.float32)
    of = loaded(
        tmp_path,
        models.constant({"output": row}),
        outputs=[models.tensor("output", "float32", (1, 1, 6))],
        labels=("one",),
        task="detection",
        postprocess={"decoder": "yolov10"},
    )
    with pytest.raises(EdgewardError, match="gave the class 5, there are labels for 0 to 0"):
        reference(of).look(grey())


def test_outputs_that_the_decoder_cannot_read_are_told(tmp_path: Path) -> None:
    folder, _ = models.bundle_folder(
        tmp_path,
        models.constant({"output": np.ones((1, 20, 7), np.float32)}),
        outputs=[models.tensor("output", "float32", (1, 20, 7))],
        labels=("one", "two"),
        postprocess={"decoder": "yolox"},
    )
    manifest = model.parse_manifest((folder / "manifest.json").read_bytes(), where="made")
    slow = Reference(manifest, manifest.variants[0], lambda name: (folder / name).read_bytes(), where="made")
    with pytest.raises(EdgewardError, match="the decoder yolox cannot read the outputs") as refused:
        slow.look(grey())
    assert refused.value.code is Code.MODEL_MISMATCH


def test_the_variant_that_answers_is_float32_and_of_an_engine_that_is_there(tmp_path: Path) -> None:
    folder, _ = models.bundle_folder(
        tmp_path, b"", outputs=[models.tensor("output", "float32", (1, 4))], **RAW
    )
    document = json.loads((folder / "manifest.json").read_bytes())
    (first,) = document["variants"]
    named = {
        "npu": {"engine": "rknn", "precision": "int8"},
        "half": {"precision": "float16"},
        "full": {},
        "other": {},
    }
    document["variants"] = [first | {"id": name} | more for name, more in named.items()]
    manifest = model.parse_manifest(json.dumps(document).encode(), where="made")
    assert chosen(manifest, "", toml="t").id == "full"
    assert chosen(manifest, "half", toml="t").id == "half"
    for name in ("npu", "gpu"):
        with pytest.raises(EdgewardError) as refused:
            chosen(manifest, name, toml="t")
        assert (refused.value.code, refused.value.where) == (Code.BUNDLE_GOLDEN, "t: golden.reference")
