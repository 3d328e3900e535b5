"""The RKNN engine against a recording of rknn-toolkit-lite2 2.5: same names, arguments, order and answers.

There is no Rockchip board here. What the recording holds was read off ``rknnlite/api/rknn_lite.py`` of the
package: calls answer 0 or -1, ``inference`` a list of float32 arrays or None, and nothing raises.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from runtime import engine
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from tests.unit.engine import models
from tests.unit.engine.models import Array, output, picture

pytestmark = pytest.mark.unit

calls: list[str] = []


class RKNNLite:
    """What the vendor's class does, as far as the engine uses it; "compiled" models say ``RKNN``."""

    NPU_CORE_AUTO = 0

    def __init__(self, verbose: bool = False, verbose_file: str | None = None) -> None:
        calls.append("init")
        self.data = b""
        self.ready = False

    def load_rknn(self, path: str, key_path: str | None = None) -> int:
        calls.append("load_rknn")
        self.data = Path(path).read_bytes()
        return 0 if self.data else -1

    def init_runtime(
        self, target: Any = None, device_id: Any = None, async_mode: bool = False, core_mask: int = 0
    ) -> int:
        calls.append("init_runtime")
        self.ready = self.data.startswith(b"RKNN")
        return 0 if self.ready else -1

    def inference(
        self,
        inputs: list[Array],
        data_type: str | None = None,
        data_format: str | None = None,
        inputs_pass_through: list[int] | None = None,
        get_frame_id: bool = False,
        reuse_outputs: bool = False,
    ) -> list[Array] | None:
        calls.append("inference")
        assert self.ready
        assert isinstance(inputs, list)
        assert data_type == inputs[0].dtype.name
        assert data_format == "nhwc"
        if b"fails" in self.data:
            return None
        shape = (1, 2) if b"small" in self.data else (1, 3)
        return [np.full(shape, inputs[0].mean(), np.float32)]

    def release(self) -> None:
        calls.append("release")
        self.ready = False


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    package, api = ModuleType("rknnlite"), ModuleType("rknnlite.api")
    api.RKNNLite = RKNNLite  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rknnlite", package)
    monkeypatch.setitem(sys.modules, "rknnlite.api", api)
    calls.clear()


def load(model: bytes, **options: Any) -> engine.Engine:
    entry = models.variant(
        "rknn", (picture("images", "uint8", 1, 4, 4, 3),), (output("scores", "float32", 1, 3),)
    )
    return engine.load(entry, models.files(model), EngineOptions(**options), where="tiny")


def test_a_model_is_loaded_started_run_and_released_in_this_order() -> None:
    loaded = load(b"RKNN")
    assert loaded.provider == "NPU"
    binding = loaded.bind(1)
    scores = binding.outputs[0]
    binding.inputs[0].fill(9)
    binding.run()
    binding.run()
    assert binding.outputs[0] is scores
    assert scores.tolist() == [[9, 9, 9]]
    loaded.close()
    assert calls == ["init", "load_rknn", "init_runtime", "inference", "inference", "release"]


@pytest.mark.parametrize("model", [b"", b"for another chip"])
def test_a_file_that_the_runtime_refuses_is_an_error_and_is_released(model: bytes) -> None:
    with pytest.raises(EdgewardError) as refused:
        load(model)
    assert refused.value.code is Code.MODEL_LOAD
    assert calls[-1] == "release"


@pytest.mark.parametrize("model", [b"RKNN fails", b"RKNN small"])
def test_answers_that_are_missing_or_of_another_size_are_an_error(model: bytes) -> None:
    loaded = load(model)
    with pytest.raises(EdgewardError) as failed:
        loaded.bind(1).run()
    assert failed.value.code is Code.MODEL_RUN


def test_anything_but_the_npu_is_refused() -> None:
    with pytest.raises(EdgewardError, match="here are: npu") as refused:
        load(b"RKNN", provider="cpu")
    assert refused.value.code is Code.ENGINE_UNAVAILABLE
