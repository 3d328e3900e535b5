"""onnxruntime: IO binding to buffers that are kept for the life of the model."""

from __future__ import annotations

from typing import Any, NoReturn

import onnxruntime as ort

from runtime.bundle.manifest import TensorSpec, Variant
from runtime.engine import Array, allocate
from runtime.errors import Code, EdgewardError

_EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


class OnnxEngine:
    """A session with its inputs and outputs bound once; see ``runtime.engine.Engine``."""

    def __init__(self, session: ort.InferenceSession, variant: Variant, *, where: str) -> None:
        self._session = session
        self._where = where
        self.provider: str = session.get_providers()[0]
        self._binding = session.io_binding()
        self.inputs: list[Array] = []
        self.outputs: list[Array] = []
        for spec in variant.inputs:
            buffer = allocate(spec.dtype, _fixed(spec, where))
            self._binding.bind_input(spec.name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
            self.inputs.append(buffer)
        for spec in variant.outputs:
            buffer = allocate(spec.dtype, _fixed(spec, where))
            self._binding.bind_output(spec.name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
            self.outputs.append(buffer)

    def run(self) -> None:
        """One inference over the kept buffers."""
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            # onnxruntime's exceptions share no base class below Exception.
            raise EdgewardError(
                Code.MODEL_RUN,
                _first_line(error),
                where=self._where,
                remedy="run 'edgeward bundle inspect' on it",
            ) from error

    def close(self) -> None:
        """Drop the session; onnxruntime frees the model with its last reference."""
        del self._binding, self._session


def load(variant: Variant, model: bytes, *, threads: int, where: str) -> OnnxEngine:
    """See ``runtime.engine.load``; ``threads`` is the number of threads inside one operator."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads burn a core between frames, which a board that also decodes does not have.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A model may name files beside it for its weights. None of them was hashed with the model, and given as
    # bytes a model has no place of its own: they would be looked for in the current folder.
    options.add_session_config_entry(_EXTERNAL_DATA_FOLDER, "/nonexistent")
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EdgewardError(
            Code.MODEL_LOAD,
            f"onnxruntime cannot load the model: {_first_line(error)}",
            where=where,
            remedy="check that the file is a complete ONNX model of an opset that this onnxruntime knows",
        ) from error
    _check("input", variant.inputs, session.get_inputs(), where)
    _check("output", variant.outputs, session.get_outputs(), where)
    try:
        return OnnxEngine(session, variant, where=where)
    except (MemoryError, ValueError) as error:
        remedy = "check the shapes in bundle.toml"
        what = f"no memory for its tensors: {_first_line(error)}"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error


def _fixed(spec: TensorSpec, where: str) -> tuple[int, ...]:
    shape = tuple(size for size in spec.shape if isinstance(size, int) and size > 0)
    if len(shape) != len(spec.shape):
        raise EdgewardError(
            Code.BUNDLE_UNSUPPORTED,
            f"tensor {spec.name!r} has the shape {list(spec.shape)}; this version needs fixed sizes",
            where=where,
            remedy="give numbers in bundle.toml",
        )
    return shape


def _check(kind: str, declared: tuple[TensorSpec, ...], found: list[Any], where: str) -> None:
    """The manifest's tensors against the model's own: names, dtypes, ranks and fixed sizes."""
    by_name = {node.name: node for node in found}
    if kind == "input" and set(by_name) != {spec.name for spec in declared}:
        _mismatch(
            f"the model's inputs are {sorted(by_name)}, the manifest's {[s.name for s in declared]}", where
        )
    for spec in declared:
        node = by_name.get(spec.name)
        if node is None:
            _mismatch(f"the model has no {kind} {spec.name!r}, it has {sorted(by_name)}", where)
        dtype = _DTYPES.get(node.type, node.type)
        if dtype != spec.dtype:
            _mismatch(f"{kind} {spec.name!r} is {dtype} in the model and {spec.dtype} in the manifest", where)
        fits = len(node.shape) == len(spec.shape) and all(
            mine == own or not isinstance(own, int) for mine, own in zip(spec.shape, node.shape, strict=True)
        )
        if not fits:
            what = f"{kind} {spec.name!r} is {list(node.shape)} in the model, not {list(spec.shape)}"
            _mismatch(what, where)


def _mismatch(what: str, where: str) -> NoReturn:
    raise EdgewardError(Code.MODEL_MISMATCH, what, where=where, remedy="correct bundle.toml and pack again")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
