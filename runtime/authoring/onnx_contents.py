"""What an ONNX file says of itself, as onnxruntime reads it."""

from __future__ import annotations

import ast
import keyword
import re
from typing import Any

from runtime.authoring.model_file import Contents, Size, Tensor
from runtime.bundle import onnx_file
from runtime.engine import first_line, package
from runtime.errors import Code, EdgewardError

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "uint8",
}


def read(data: bytes, *, where: str) -> Contents:
    """Tensors, metadata and labels.

    Raises:
        EdgewardError: ``MODEL_LOAD`` for a file that onnxruntime refuses, or one that keeps weights in other
            files; ``ENGINE_UNAVAILABLE`` without onnxruntime.
    """
    ort = package.find("onnxruntime", install="pip install 'edgeward[onnx]'")
    try:
        elsewhere = onnx_file.refers_elsewhere(data)
    except ValueError as error:
        remedy = "check that the file is complete, and export it again"
        what = f"this is no ONNX file: {error}"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error
    if elsewhere:
        what = "it keeps weights in a file beside it"
        remedy = "save it as one file: onnx.save(onnx.load(NAME), NAME, save_as_external_data=False)"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's exceptions share no base class below Exception.
        remedy = "check that the file is complete, or export it again with an older opset"
        what = f"onnxruntime cannot load the model: {first_line(error)}"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error
    about = session.get_modelmeta()
    notes = {name: text for name, text in about.custom_metadata_map.items() if isinstance(text, str)}
    notes |= {"producer": about.producer_name}
    inputs = tuple(map(_tensor, session.get_inputs()))
    quantised = b"QuantizeLinear" in data or b"QLinearConv" in data
    half = any(tensor.dtype == "float16" for tensor in inputs)
    precision = "int8" if quantised else "float16" if half else "float32"
    outputs = tuple(map(_tensor, session.get_outputs()))
    return Contents("onnxruntime", inputs, outputs, precision, notes, _names(notes.get("names", "")))


def _tensor(node: Any) -> Tensor:
    dtype = _DTYPES.get(node.type, node.type)
    sizes = tuple(_size(size, at, node.name) for at, size in enumerate(node.shape))
    return Tensor(node.name, dtype, sizes)


def _size(size: object, axis: int, tensor: str) -> Size:
    """A number, or a name that a manifest may have."""
    if isinstance(size, int) and size > 0:
        return size
    name = re.sub(r"\W", "_", size if isinstance(size, str) else f"{tensor}_{axis}", flags=re.ASCII)
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"d_{name}"


def _names(text: str) -> tuple[str, ...]:
    """Labels as Ultralytics' exporter writes them: ``{0: 'person', 1: 'bicycle'}``."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(names, dict):
        names = [names.get(at) for at in range(len(names))]
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
