"""The TensorRT engine against a recording of ``tensorrt`` 10 and ``cuda.bindings.runtime``.

There is no NVIDIA GPU here. The recording has the vendors' names, arguments and answers (CUDA calls give a
tuple that begins with a status; ``deserialize_cuda_engine`` gives None for a file that it refuses); "device"
memory is the host's, so that what is copied and computed can be checked to the end. An "engine" is the text
``TRT <largest batch>`` and computes ``y = 2 x``.
"""

# ruff: noqa: N802 - the names are the vendor's
from __future__ import annotations

import ctypes
import enum
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from runtime import engine
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions
from tests.unit.engine import models
from tests.unit.engine.models import output, picture

pytestmark = pytest.mark.unit

ROW = 12


class Status(enum.IntEnum):
    cudaSuccess = 0  # noqa: N815 - the vendor's name
    cudaErrorMemoryAllocation = 2  # noqa: N815


class CopyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1  # noqa: N815
    cudaMemcpyDeviceToHost = 2  # noqa: N815


class Cuda(ModuleType):
    cudaMemcpyKind = CopyKind  # noqa: N815

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.memory: dict[int, Any] = {}
        self.streams: set[int] = set()
        self.calls: list[str] = []
        self.full = False
        self.made = 76

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        return Status.cudaSuccess, 1

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        if self.full and self.memory:
            return Status.cudaErrorMemoryAllocation, None
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return Status.cudaSuccess, ctypes.addressof(block)

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        del self.memory[address]
        return (Status.cudaSuccess,)

    def cudaStreamCreate(self) -> tuple[Any, ...]:
        self.made += 1
        self.streams.add(self.made)
        return Status.cudaSuccess, self.made

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:
        assert stream in self.streams
        self.calls.append("synchronize")
        return (Status.cudaSuccess,)

    def cudaStreamDestroy(self, stream: int) -> tuple[Any, ...]:
        self.streams.remove(stream)
        return (Status.cudaSuccess,)

    def cudaMemcpyAsync(
        self, to: int, source: int, size: int, kind: CopyKind, stream: int
    ) -> tuple[Any, ...]:
        device = to if kind is CopyKind.cudaMemcpyHostToDevice else source
        assert len(self.memory[device]) == size
        assert stream in self.streams
        ctypes.memmove(to, source, size)
        self.calls.append(kind.name)
        return (Status.cudaSuccess,)


class Context:
    def __init__(self, cuda: Cuda, largest: int) -> None:
        self.cuda, self.largest = cuda, largest
        self.batch = 0
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "x"
        self.batch = shape[0]
        return shape[0] <= self.largest

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.batch, 2, 2, 3)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle in self.cuda.streams
        self.cuda.calls.append("execute")
        count = self.batch * ROW
        x = np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.addresses["x"]))
        y = np.ctypeslib.as_array((ctypes.c_float * count).from_address(self.addresses["y"]))
        y[:] = 2 * x
        return True


def vendor(cuda: Cuda) -> ModuleType:
    module: Any = ModuleType("tensorrt")
    module.__version__ = "10.9.0"
    module.TensorIOMode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
    module.nptype = {"FLOAT": np.float32}.__getitem__

    class Engine:
        num_io_tensors = 2

        def __init__(self, largest: int) -> None:
            self.largest = largest

        def get_tensor_name(self, index: int) -> str:
            return ("x", "y")[index]

        def get_tensor_mode(self, name: str) -> Any:
            return module.TensorIOMode.INPUT if name == "x" else module.TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> str:
            return "FLOAT"

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return (-1, 2, 2, 3)

        def create_execution_context(self) -> Context:
            return Context(cuda, self.largest)

    class Logger:
        ERROR = 1

        def __init__(self, severity: int) -> None:
            assert severity == self.ERROR

    class Runtime:
        def __init__(self, logger: Logger) -> None:
            assert isinstance(logger, Logger)

        def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
            return Engine(int(data[4:])) if data.startswith(b"TRT ") else None

    module.Logger, module.Runtime = Logger, Runtime
    return module  # type: ignore[no-any-return]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    recording = Cuda()
    monkeypatch.setitem(sys.modules, "tensorrt", vendor(recording))
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", ModuleType("cuda.bindings"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", recording)
    return recording


def load(model: bytes = b"TRT 4", dtype: str = "float32", **options: Any) -> engine.Engine:
    shape = ("batch", 2, 2, 3)
    entry = models.variant("tensorrt", (picture("x", dtype, *shape),), (output("y", "float32", *shape),))
    return engine.load(entry, models.files(model), EngineOptions(**options), where="tiny")


def test_pictures_go_to_the_gpu_and_answers_come_back_with_one_wait(cuda: Cuda) -> None:
    loaded = load()
    assert loaded.provider == "TensorRT"
    for batch in (1, 3):
        binding = loaded.bind(batch)
        x, y = binding.inputs[0], binding.outputs[0]
        for seed in range(3):
            x[...] = np.random.default_rng(seed).random(x.shape)
            cuda.calls.clear()
            binding.run()
            copies = ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"]
            assert cuda.calls == [copies[0], "execute", copies[1], "synchronize"]
            np.testing.assert_array_equal(y, 2 * x)
        assert binding.inputs[0] is x
        assert binding.outputs[0] is y
    loaded.close()
    assert not cuda.memory
    assert not cuda.streams


def test_a_batch_that_the_engine_file_was_not_built_for_is_refused_and_leaves_nothing(cuda: Cuda) -> None:
    loaded = load()
    with pytest.raises(EdgewardError, match="was not built for") as refused:
        loaded.bind(5)
    assert refused.value.code is Code.MODEL_LOAD
    assert not cuda.memory
    assert not cuda.streams
    loaded.close()


def test_a_full_gpu_is_an_error_and_leaves_nothing(cuda: Cuda) -> None:
    cuda.full = True
    loaded = load()
    with pytest.raises(EdgewardError, match="cudaErrorMemoryAllocation") as refused:
        loaded.bind(1)
    assert refused.value.code is Code.MODEL_LOAD
    assert not cuda.memory
    assert not cuda.streams


def test_an_engine_file_of_another_gpu_or_version_is_refused_with_a_remedy(cuda: Cuda) -> None:
    with pytest.raises(EdgewardError, match="build the engine on such a board") as refused:
        load(b"of another version")
    assert refused.value.code is Code.MODEL_LOAD


def test_a_manifest_that_is_wrong_is_told_with_the_tensors_name(cuda: Cuda) -> None:
    with pytest.raises(EdgewardError, match="input 'x' is float32") as refused:
        load(dtype="uint8")
    assert refused.value.code is Code.MODEL_MISMATCH


def test_it_is_available_only_with_a_device(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine.backend("tensorrt")
    assert found is not None
    assert found.capabilities().available
    monkeypatch.setattr(cuda, "cudaGetDeviceCount", lambda: (Status.cudaSuccess, 0))
    assert found.capabilities().reason == "this host has no CUDA device"
