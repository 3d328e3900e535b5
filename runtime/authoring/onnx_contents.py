"""What an ONNX file says of itself, as onnxruntime reads it."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping, Sequence
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
    try:
        about = session.get_modelmeta()
        notes = {name: text for name, text in about.custom_metadata_map.items() if isinstance(text, str)}
        notes |= {"producer": about.producer_name}
        given = (session.get_inputs(), session.get_outputs())
        called = _called([size for node in (*given[0], *given[1]) for size in node.shape])
        inputs, outputs = (tuple(_tensor(node, called) for node in nodes) for nodes in given)
    except UnicodeDecodeError as error:
        what, remedy = "a name or a note in it is not UTF-8 text", "export the model again with plain names"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error
    quantised = b"QuantizeLinear" in data or b"QLinearConv" in data
    half = any(tensor.dtype == "float16" for tensor in inputs)
    precision = "int8" if quantised else "float16" if half else "float32"
    return Contents("onnxruntime", inputs, outputs, precision, notes, _names(notes.get("names", "")))


def _tensor(node: Any, called: Mapping[str, str]) -> Tensor:
    dtype = _DTYPES.get(node.type, node.type)
    sizes = tuple(_size(size, at, node.name, called) for at, size in enumerate(node.shape))
    return Tensor(node.name, dtype, sizes)


def _size(size: object, axis: int, tensor: str, called: Mapping[str, str]) -> Size:
    """A number, or a name that a manifest may have."""
    if isinstance(size, int) and size > 0:
        return size
    return called[size] if isinstance(size, str) else _identifier(f"{tensor}_{axis}")


def _called(sizes: Sequence[object]) -> dict[str, str]:
    """For each name of an open size one that a manifest may have; two sizes do not become one."""
    found: dict[str, str] = {}
    for size in sizes:
        if isinstance(size, str) and size not in found:
            name = plain = _identifier(size)
            number = 2
            while name in found.values():
                name, number = f"{plain}_{number}", number + 1
            found[size] = name
    return found


def _identifier(text: str) -> str:
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
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
