"""onnxruntime: IO binding to buffers that are kept, and one execution provider that is known to run."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.bundle.manifest import Variant
from runtime.engine import (
    Array,
    Capabilities,
    ModelFiles,
    TensorInfo,
    affinity,
    onnx_providers,
    package,
    tensors,
)
from runtime.engine.bindings import Bindings
from runtime.ipc import EngineOptions

_EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"
_INSTALL = "pip install 'edgeward[onnx]'"
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


def capabilities() -> Capabilities:
    """See ``runtime.engine.Backend``."""
    try:
        ort = package.find("onnxruntime", install=_INSTALL)
    except package.MissingError as missing:
        return Capabilities(available=False, reason=missing.reason)
    return Capabilities(True, version=ort.__version__, providers=tuple(ort.get_available_providers()))


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> OnnxEngine:
    """See ``runtime.engine.load``."""
    ort = package.find("onnxruntime", install=_INSTALL)
    with affinity.held(options.affinity):
        chosen = onnx_providers.open_session(
            ort, files, options, lambda: _session_options(ort, variant, options), variant, where=where
        )
    session = chosen.session
    known = tensors.agreed(variant, _infos(session.get_inputs()), _infos(session.get_outputs()), where=where)
    return OnnxEngine(chosen, known, affinity.home(options.affinity), where=where)


def _session_options(ort: Any, variant: Variant, options: EngineOptions) -> Any:
    wanted = ort.SessionOptions()
    wanted.intra_op_num_threads = options.threads
    wanted.inter_op_num_threads = 1
    wanted.log_severity_level = 4
    # Spinning threads burn a core between frames, which a board that also decodes does not have.
    wanted.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A model may name files beside it for its weights. None of them was hashed with the model, and given as
    # bytes a model has no place of its own: they would be looked for in the current folder.
    wanted.add_session_config_entry(_EXTERNAL_DATA_FOLDER, "/nonexistent")
    # Sizes that are known let onnxruntime plan its memory once; a name that the model lacks does no harm.
    for name, size in variant.dimensions.items():
        wanted.add_free_dimension_override_by_name(name, size)
    return wanted


def _infos(nodes: list[Any]) -> list[TensorInfo]:
    return [TensorInfo(node.name, _DTYPES.get(node.type, node.type), tuple(node.shape)) for node in nodes]


class OnnxEngine:
    """A session; see ``runtime.engine.Engine``."""

    def __init__(
        self, chosen: onnx_providers.Chosen, known: tensors.Tensors, home: affinity.Home | None, *, where: str
    ) -> None:
        self.provider = chosen.provider
        self.inputs = known.inputs
        self.outputs = known.outputs
        self._session: Any = chosen.session
        self._known = known
        self._home = home
        self._where = where
        self._bindings: Bindings[OnnxBinding] = Bindings()

    def bind(self, batch: int) -> OnnxBinding:
        """See ``runtime.engine.Engine``."""
        if batch not in self._bindings:
            tensors.check_batch(self._known.variant, batch, where=self._where)
            try:
                binding = OnnxBinding(self._session, self._known, batch, self._home, where=self._where)
            except (MemoryError, ValueError, RuntimeError) as error:
                raise tensors.cannot_bind(batch, error, where=self._where) from error
            self._bindings[batch] = binding
        return self._bindings[batch]

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        if self._bindings.release(batch):
            for binding in self._bindings.values():
                binding.run_and_shrink()
                break

    def close(self) -> None:
        """Drop the session and what is bound to it; onnxruntime frees the model with its last reference."""
        self._bindings.close()
        self._session = None


class OnnxBinding:
    """See ``runtime.engine.Binding``."""

    def __init__(
        self, session: Any, known: tensors.Tensors, batch: int, home: affinity.Home | None, *, where: str
    ) -> None:
        self.inputs = tensors.inputs(known, batch)
        self.outputs: list[Array] = []
        self._run = session.run_with_iobinding
        self._home = home
        self._where = where
        self._io: Any = session.io_binding()
        self._open: list[tuple[int, str]] = []
        for info, buffer in zip(known.inputs, self.inputs, strict=True):
            self._io.bind_input(info.name, "cpu", 0, np.dtype(info.dtype), buffer.shape, buffer.ctypes.data)
        kept = tensors.outputs(known, batch)
        for at, (info, own) in enumerate(zip(known.outputs, kept, strict=True)):
            if own is None:
                self._io.bind_output(info.name, "cpu")
                self._open.append((at, info.name))
                self.outputs.append(tensors.empty(known.variant.outputs[at]))
            else:
                self._io.bind_output(info.name, "cpu", 0, np.dtype(info.dtype), own.shape, own.ctypes.data)
                self.outputs.append(own)

    def run_and_shrink(self) -> None:
        """Run once, and give memory back that this run did not need.

        onnxruntime keeps what the largest run so far needed between its operators: after a batch of eight
        pictures 120 MB more for a face detector of 640x640, for good.
        """
        options = package.find("onnxruntime", install=_INSTALL).RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        try:
            self._run(self._io, options)
        except Exception as error:
            # onnxruntime's exceptions share no base class below Exception.
            raise tensors.cannot_run(error, where=self._where) from error

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        if self._home is not None:
            self._home.enter()
        try:
            for _, name in self._open:
                self._io.bind_output(name, "cpu")
            self._run(self._io)
            if self._open:
                self._read()
        except Exception as error:
            # onnxruntime's exceptions share no base class below Exception.
            raise tensors.cannot_run(error, where=self._where) from error

    def _read(self) -> None:
        """Take over the outputs that onnxruntime allocated."""
        found = self._io.get_outputs()
        for at, _ in self._open:
            array = found[at].numpy()
            self.outputs[at] = array.view(np.uint8) if array.dtype == bool else array

    def close(self) -> None:
        """Let go of the session, which lives as long as anything bound to it."""
        self._run = self._io = None
