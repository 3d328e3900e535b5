"""Static int8 ONNX models by onnxruntime's quantiser.

QDQ format, weights int8 channel by channel in 7 bits, activations uint8 (onnxruntime's documentation,
"Quantize ONNX Models"): x86 processors without VNNI add up pairs of products in 16 bits, which overflow with
8-bit weights, so that a model would answer differently from board to board. Of the activations' two types
uint8 is the one that is fast on x86 and on ARM.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from runtime.authoring.calibration import Reader, Recording
from runtime.engine import first_line, package
from runtime.errors import Code, EdgewardError, from_os_error

_INSTALL = "pip install 'edgeward[author]'"
_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger"})
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_FIRST_OPSET = 13  # before it QuantizeLinear knew no channels
_OPSET = 17


class Plan(NamedTuple):
    """What stays float32: ``keep`` are names of nodes."""

    name: str
    text: str
    keep: tuple[str, ...]


class Prepared(NamedTuple):
    """The model as the quantiser wants it: constants folded, shapes known, nodes named."""

    path: Path
    plans: tuple[Plan, ...]


def find_packages() -> tuple[Any, Any]:
    """``onnx``, and onnxruntime's preparation for quantising.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` where one of them is missing.
    """
    onnx = package.find("onnx", install=_INSTALL)
    return onnx, package.find("onnxruntime.quantization.shape_inference", install=_INSTALL)


def check_float32(model: bytes, *, where: str) -> None:
    """Refuse a model that is quantised already, or in 16 bits, whatever ``precision`` says of it.

    Raises:
        EdgewardError: ``USAGE``; ``MODEL_LOAD`` for what is no ONNX file; ``ENGINE_UNAVAILABLE``.
    """
    onnx, _ = find_packages()
    try:
        graph = onnx.load_from_string(model).graph
    except Exception as error:
        # protobuf's own, which shares no base with the others.
        what, remedy = f"this is no ONNX file: {first_line(error)}", "export it again"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error
    held = {tensor.data_type for tensor in graph.initializer}
    held |= {one.t.data_type for node in graph.node if node.op_type == "Constant" for one in node.attribute}
    what = ""
    if any(node.op_type in _QUANTISED or node.op_type.startswith("QLinear") for node in graph.node):
        what = "it is quantised already"
    elif held & {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}:
        what = "its weights have 16 bits"
    if what:
        remedy = "give the float32 model that it was made of, and correct precision in bundle.toml"
        raise EdgewardError(Code.USAGE, what, where=where, remedy=remedy)


def prepare(model: bytes, work: Path, *, where: str) -> Prepared:
    """Bring a float32 model to the form and opset that quantising needs.

    Args:
        model: an ONNX file.
        work: a folder for what is made on the way.
        where: the model's name, for errors.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` without the packages; ``MODEL_LOAD`` when the model cannot be
            brought into that form.
    """
    onnx, tools = find_packages()
    source, folded, ready = work / "source.onnx", work / "folded.onnx", work / "ready.onnx"
    try:
        graph = onnx.load_from_string(model)
        opset = next((one.version for one in graph.opset_import if one.domain in {"", "ai.onnx"}), 0)
        if opset < _FIRST_OPSET:
            graph = onnx.version_converter.convert_version(graph, _OPSET)
        _name_nodes(graph)
        onnx.save(graph, source)
        # Symbolic shape inference needs a package more, and adds nothing here: sizes are the manifest's.
        tools.quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
        graph = onnx.load(folded)
        _name_nodes(graph)
        onnx.save(graph, ready)
    except OSError as error:
        raise from_os_error(error, where=str(work), fallback=Code.SYSTEM_IO) from error
    except Exception as error:
        # protobuf, onnx and onnxruntime have no exception in common below this one.
        what = f"it cannot be prepared for quantising: {first_line(error)}"
        remedy = f"export it again with opset {_OPSET}"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error
    return Prepared(ready, _plans(graph.graph))


def _name_nodes(graph: Any) -> None:
    """The quantiser goes by the names of nodes, which a file need not have, nor have once each."""
    seen: set[str] = set()
    for number, node in enumerate(graph.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}_edgeward"
        seen.add(node.name)


def _plans(graph: Any) -> tuple[Plan, ...]:
    """From all int8 to what saves a detector whose boxes and scores share a tensor, and so a scale."""
    head, last = _head(graph)
    plans = [Plan("all", "all of it in int8", ())]
    if head:
        plans.append(Plan("outputs", "what follows the last layers in float32", tuple(head)))
    if last:
        plans.append(Plan("head", "the last layers and what follows in float32", (*head, *last)))
    return tuple(plans)


def _head(graph: Any) -> tuple[list[str], list[str]]:
    """Nodes between the last layers with weights and the outputs, and these layers."""
    made_by = {name: node for node in graph.node for name in node.output}
    head: dict[str, None] = {}
    last: dict[str, None] = {}
    ahead = [output.name for output in graph.output]
    while ahead:
        node = made_by.get(ahead.pop())
        if node is None or node.name in head or node.name in last:
            continue
        if node.op_type in _LAYERS:
            last[node.name] = None
        else:
            head[node.name] = None
            ahead += list(node.input)
    return list(head), list(last)


def quantise(prepared: Prepared, plan: Plan, recording: Recording, out: Path, *, where: str) -> None:
    """Write the int8 model of ``plan`` to ``out``.

    Raises:
        EdgewardError: ``MODEL_LOAD`` when the quantiser fails.
    """
    tools = package.find("onnxruntime.quantization", install=_INSTALL)
    try:
        tools.quantize_static(
            str(prepared.path),
            str(out),
            Reader(recording),
            quant_format=tools.QuantFormat.QDQ,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            calibrate_method=tools.CalibrationMethod.MinMax,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=list(plan.keep),
            calibration_providers=["CPUExecutionProvider"],
        )
    except OSError as error:
        raise from_os_error(error, where=str(out), fallback=Code.SYSTEM_IO) from error
    except Exception as error:
        # As in prepare.
        what = f"onnxruntime's quantiser failed: {first_line(error)}"
        remedy = "export the model again, or quantise it with another tool"
        raise EdgewardError(Code.MODEL_LOAD, what, where=where, remedy=remedy) from error


def versions() -> Iterator[str]:
    """The packages that made it, with their versions."""
    for name in ("onnxruntime", "onnx"):
        yield f"{name} {package.version(name)}"
