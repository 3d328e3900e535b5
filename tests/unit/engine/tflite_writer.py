"""Writes TFLite files, which no small package does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.bundle.manifest import Quantisation

Array = npt.NDArray[Any]
Shape = tuple[int | str, ...]


def tflite_model(
    nodes: list[tuple[str, list[str], list[str]]],
    tensors: dict[str, tuple[str, Shape, Quantisation | None, Array | None]],
    inputs: list[str],
    outputs: list[str],
) -> bytes:
    """A FlatBuffer by LiteRT's schema; tensors as ``name: (dtype, shape, quantisation, constant)``."""
    import flatbuffers  # noqa: PLC0415
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    names = list(tensors)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], []
    model.buffers = [schema.BufferT()]
    graph.tensors, graph.operators = [], []
    graph.inputs, graph.outputs = [names.index(n) for n in inputs], [names.index(n) for n in outputs]
    for name, (dtype, shape, quantisation, constant) in tensors.items():
        tensor = schema.TensorT()
        kinds = {"float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8", "bool": "BOOL", "int64": "INT64"}
        tensor.name, tensor.type = name, getattr(schema.TensorType, kinds[dtype])
        tensor.shape = [size if isinstance(size, int) else 1 for size in shape]
        if any(isinstance(size, str) for size in shape):
            tensor.shapeSignature = [size if isinstance(size, int) else -1 for size in shape]
        if quantisation is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [quantisation.scale]
            tensor.quantization.zeroPoint = [quantisation.zero_point]
        tensor.hasRank = True
        if constant is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(constant.tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    for kind, ins, outs in nodes:
        code, node = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1 if kind != "DEQUANTIZE" else 2
        model.operatorCodes.append(code)
        if kind == "FULLY_CONNECTED":
            node.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            node.builtinOptions = schema.FullyConnectedOptionsT()
        node.opcodeIndex = len(model.operatorCodes) - 1
        node.inputs, node.outputs = [names.index(n) for n in ins], [names.index(n) for n in outs]
        graph.operators.append(node)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
