"""NVIDIA TensorRT: serialised engines (``.engine``, ``.plan``) run natively. Not run on hardware yet.

Written against TensorRT's Python API as of version 10 (named tensors, ``execute_async_v3``) and cuda-python's
``cuda.bindings.runtime``, and tested against a recording of both. An engine file fits one GPU and one
TensorRT; onnxruntime's TensorRT provider compiles one on the device instead.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from runtime.bundle.manifest import Variant
from runtime.engine import Array, Capabilities, ModelFiles, TensorInfo, affinity, package, tensors
from runtime.engine.bindings import Bindings
from runtime.engine.preference import wanted
from runtime.ipc import EngineOptions

_INSTALL = "pip install tensorrt cuda-python, or use those of JetPack"
_CUDA = ("cuda.bindings.runtime", "cuda.cudart")
TENSORRT = "TensorRT"


def capabilities() -> Capabilities:
    """See ``runtime.engine.Backend``."""
    try:
        trt = package.find("tensorrt", install=_INSTALL)
        cuda = package.find(*_CUDA, install=_INSTALL)
        gpus = _call(cuda.cudaGetDeviceCount)
    except package.MissingError as missing:
        return Capabilities(available=False, reason=missing.reason)
    except RuntimeError as error:
        return Capabilities(available=False, reason=f"CUDA does not start: {error}")
    if not gpus:
        return Capabilities(available=False, reason="this host has no CUDA device")
    return Capabilities(True, version=trt.__version__, providers=(TENSORRT,))


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> TensorRtEngine:
    """See ``runtime.engine.load``."""
    trt = package.find("tensorrt", install=_INSTALL)
    cuda = package.find(*_CUDA, install=_INSTALL)
    wanted(options, (TENSORRT,), (TENSORRT,), where=where)
    with affinity.held(options.affinity):
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        engine = runtime.deserialize_cuda_engine(files.model)
    if engine is None:
        reason = RuntimeError("it is not an engine of this TensorRT and this GPU; its log says what is wrong")
        remedy = "build the engine on such a board with this TensorRT, or use onnxruntime's TensorRT provider"
        raise tensors.cannot_load("TensorRT", reason, where=where, remedy=remedy)
    sides: dict[bool, list[TensorInfo]] = {True: [], False: []}
    for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
        shape = tuple(None if size < 0 else int(size) for size in engine.get_tensor_shape(name))
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
        sides[engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT].append(TensorInfo(name, dtype, shape))
    known = tensors.agreed(variant, sides[True], sides[False], where=where)
    return TensorRtEngine(cuda, (runtime, engine), known, affinity.home(options.affinity), where=where)


def _call(function: Any, *arguments: Any) -> Any:
    """A CUDA call: its answer without the leading status.

    Raises:
        RuntimeError: the status is not success.
    """
    status, *answer = function(*arguments)
    if int(status) != 0:
        message = f"{function.__name__} failed: {getattr(status, 'name', status)}"
        raise RuntimeError(message)
    return answer[0] if answer else None


class TensorRtEngine:
    """See ``runtime.engine.Engine``."""

    def __init__(
        self,
        cuda: Any,
        runtime_and_engine: tuple[Any, Any],
        known: tensors.Tensors,
        home: affinity.Home | None,
        *,
        where: str,
    ) -> None:
        self.provider = TENSORRT
        self.inputs = known.inputs
        self.outputs = known.outputs
        self._cuda = cuda
        # The runtime must live as long as what it made.
        self._runtime: Any
        self._engine: Any
        self._runtime, self._engine = runtime_and_engine
        self._known = known
        self._home = home
        self._where = where
        self._bindings: Bindings[TensorRtBinding] = Bindings()

    def bind(self, batch: int) -> TensorRtBinding:
        """See ``runtime.engine.Engine``; the engine file says which batches it was built for."""
        if batch not in self._bindings:
            tensors.check_batch(self._known.variant, batch, where=self._where)
            try:
                context = self._engine.create_execution_context()
                self._bindings[batch] = TensorRtBinding(
                    self._cuda, context, self._known, batch, self._home, where=self._where
                )
            except (MemoryError, RuntimeError, ValueError) as error:
                raise tensors.cannot_bind(batch, error, where=self._where) from error
        return self._bindings[batch]

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        self._bindings.release(batch)

    def close(self) -> None:
        """Give the GPU's memory back."""
        self._bindings.close()
        self._engine = self._runtime = None


class TensorRtBinding:
    """See ``runtime.engine.Binding``: host buffers here, and their copies on the GPU."""

    def __init__(
        self,
        cuda: Any,
        context: Any,
        known: tensors.Tensors,
        batch: int,
        home: affinity.Home | None,
        *,
        where: str,
    ) -> None:
        self.inputs = tensors.inputs(known, batch)
        self.outputs: list[Array] = []
        self._cuda = cuda
        self._context: Any = context
        self._home = home
        self._where = where
        self._device: list[tuple[Array, int]] = []
        self._stream: Any = None
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._stream = _call(cuda.cudaStreamCreate)
            for info, buffer in zip(known.inputs, self.inputs, strict=True):
                if not context.set_input_shape(info.name, buffer.shape):
                    message = f"the engine was not built for {list(buffer.shape)} of {info.name!r}"
                    raise ValueError(message)
                self._place(info.name, buffer)
            for info, kept in zip(known.outputs, tensors.outputs(known, batch), strict=True):
                if kept is None or tuple(context.get_tensor_shape(info.name)) != kept.shape:
                    found = list(context.get_tensor_shape(info.name))
                    message = f"output {info.name!r} is {found} in the engine: give its sizes in bundle.toml"
                    raise ValueError(message)
                self.outputs.append(kept)
                self._place(info.name, kept)
            undo.pop_all()

    def _place(self, name: str, buffer: Array) -> None:
        address = _call(self._cuda.cudaMalloc, buffer.nbytes)
        self._device.append((buffer, address))
        self._context.set_tensor_address(name, int(address))

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        if self._home is not None:
            self._home.enter()
        try:
            self._execute()
        except RuntimeError as error:
            raise tensors.cannot_run(error, where=self._where) from error

    def _execute(self) -> None:
        """Pictures to the GPU, the model, its answers back; all queued, then waited for once."""
        cuda, stream, kind = self._cuda, self._stream, self._cuda.cudaMemcpyKind
        inputs, outputs = self._device[: len(self.inputs)], self._device[len(self.inputs) :]
        for buffer, address in inputs:
            host, size = buffer.ctypes.data, buffer.nbytes
            _call(cuda.cudaMemcpyAsync, address, host, size, kind.cudaMemcpyHostToDevice, stream)
        if not self._context.execute_async_v3(int(stream)):
            message = "TensorRT refused to run; its log says why"
            raise RuntimeError(message)
        for buffer, address in outputs:
            host, size = buffer.ctypes.data, buffer.nbytes
            _call(cuda.cudaMemcpyAsync, host, address, size, kind.cudaMemcpyDeviceToHost, stream)
        _call(cuda.cudaStreamSynchronize, stream)

    def close(self) -> None:
        """Free the GPU's buffers, once nothing runs any more."""
        if self._stream is not None:
            _call(self._cuda.cudaStreamSynchronize, self._stream)
            for _, address in self._device:
                _call(self._cuda.cudaFree, address)
            _call(self._cuda.cudaStreamDestroy, self._stream)
        self._device = []
        self._stream = self._context = None
