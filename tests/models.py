"""Models with known answers, made on the spot, and the bundle folders around them.

Each model really reads its inputs: an engine that fed it nothing, or left an input out, would not run it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]

_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}


class Input(NamedTuple):
    """An input; a text in ``shape`` is a symbolic size."""

    name: str = "images"
    dtype: str = "float32"
    shape: tuple[int | str, ...] = (1, 3, 32, 32)


PICTURE = (Input(),)


def _serialised(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Input],
    outputs: Mapping[str, tuple[str, Sequence[int | str]]],
    constants: Mapping[str, Array],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "answers",
        [helper.make_tensor_value_info(given.name, _TYPES[given.dtype], given.shape) for given in inputs],
        [
            helper.make_tensor_value_info(name, _TYPES[dtype], shape)
            for name, (dtype, shape) in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def _nothing(inputs: Sequence[Input]) -> list[onnx.NodeProto]:
    """Nodes that make ``nothing``, a float32 zero, out of every element of every input."""
    nodes = []
    for given in inputs:
        nodes += [
            helper.make_node("Cast", [given.name], [f"{given.name}_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", [f"{given.name}_float"], [f"{given.name}_sum"], keepdims=0),
            helper.make_node("Mul", [f"{given.name}_sum", "zero"], [f"{given.name}_nothing"]),
        ]
    return [*nodes, helper.make_node("Sum", [f"{given.name}_nothing" for given in inputs], ["nothing"])]


def constant(answers: Mapping[str, Array], inputs: Sequence[Input] = PICTURE) -> bytes:
    """A model that says ``answers``, each in the dtype of its array.

    With a symbolic first size of the first input each answer, whose own first size is 1, is said for every
    picture of the batch.
    """
    symbol = inputs[0].shape[0]
    batch = symbol if isinstance(symbol, str) else None
    nodes = _nothing(inputs)
    constants: dict[str, Array] = {"zero": np.float32(0)}  # type: ignore[dict-item]
    if batch is not None:
        constants |= {"from": np.array([0]), "to": np.array([1])}
        nodes += [
            helper.make_node("Shape", [inputs[0].name], ["shape"]),
            helper.make_node("Slice", ["shape", "from", "to"], ["batch_size"]),
        ]
    outputs: dict[str, tuple[str, Sequence[int | str]]] = {}
    for name, answer in answers.items():
        constants[f"{name}_answer"] = answer.astype(np.float32)
        nodes.append(helper.make_node("Add", ["nothing", f"{name}_answer"], [f"{name}_sum"]))
        last = f"{name}_sum"
        shape: Sequence[int | str] = answer.shape
        if batch is not None:
            constants[f"{name}_rest"] = np.array(answer.shape[1:], np.int64)
            nodes.append(
                helper.make_node("Concat", ["batch_size", f"{name}_rest"], [f"{name}_shape"], axis=0)
            )
            nodes.append(helper.make_node("Expand", [last, f"{name}_shape"], [f"{name}_all"]))
            last, shape = f"{name}_all", (batch, *answer.shape[1:])
        nodes.append(helper.make_node("Cast", [last], [name], to=_TYPES[answer.dtype.name]))
        outputs[name] = (answer.dtype.name, shape)
    return _serialised(nodes, inputs, outputs, constants)


def counter(answer: Array, *, start_shape: tuple[int, ...] = (1,)) -> bytes:
    """A stateful model: ``state_out = state_in + 1`` and ``output = answer * state_out``."""
    inputs = (*PICTURE, Input("state_in", "float32", start_shape))
    nodes = [
        *_nothing(inputs),
        helper.make_node("Add", ["state_in", "one"], ["state_out"]),
        helper.make_node("ReduceMax", ["state_out"], ["count"], keepdims=0),
        helper.make_node("Mul", ["answer", "count"], ["scaled"]),
        helper.make_node("Add", ["scaled", "nothing"], ["output"]),
    ]
    outputs = {"output": ("float32", answer.shape), "state_out": ("float32", start_shape)}
    constants = {"zero": np.float32(0), "one": np.float32(1), "answer": answer.astype(np.float32)}
    return _serialised(nodes, inputs, outputs, constants)  # type: ignore[arg-type]


def brightness(given: Input) -> bytes:
    """``output`` ``[B, 1]``: the mean of each picture's elements, so that pictures of a batch differ."""
    nodes = [
        helper.make_node("Cast", [given.name], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["output"]),
    ]
    outputs = {"output": ("float32", (given.shape[0], 1))}
    return _serialised(nodes, (given,), outputs, {"axis": np.array([1])})  # type: ignore[arg-type]


def echo(name: str, shape: tuple[int, ...]) -> bytes:
    """``output``: what the input ``name`` was given; it stands beside the picture."""
    inputs = (*PICTURE, Input(name, "float32", shape))
    nodes = [*_nothing(PICTURE), helper.make_node("Add", [name, "nothing"], ["output"])]
    return _serialised(nodes, inputs, {"output": ("float32", shape)}, {"zero": np.float32(0)})  # type: ignore[dict-item]


def found_rows(rows: Array, inputs: Sequence[Input] = PICTURE) -> bytes:
    """``output`` ``[1, n, columns]``: those of ``rows`` that do not begin with 0; the model decides ``n``."""
    nodes = [
        *_nothing(inputs),
        helper.make_node("Add", ["rows", "nothing"], ["all"]),
        helper.make_node("Gather", ["all", "first"], ["marks"], axis=1),
        helper.make_node("Cast", ["marks"], ["kept"], to=TensorProto.BOOL),
        helper.make_node("Compress", ["all", "kept"], ["some"], axis=0),
        helper.make_node("Unsqueeze", ["some", "axis"], ["output"]),
    ]
    outputs = {"output": ("float32", (1, "n", rows.shape[1]))}
    constants = {
        "zero": np.float32(0),
        "first": np.int64(0),
        "axis": np.array([0]),
        "rows": rows.astype(np.float32),
    }
    return _serialised(nodes, inputs, outputs, constants)  # type: ignore[arg-type]


def tensor(name: str, dtype: str, shape: Sequence[int | str], **more: object) -> dict[str, Any]:
    """An entry of a manifest's ``inputs`` or ``outputs``."""
    return {"name": name, "dtype": dtype, "shape": list(shape), **more}


def tensors_of(answers: Mapping[str, Array], batch: int | str | None = None) -> list[dict[str, Any]]:
    """The manifest's ``outputs`` of ``constant(answers)``."""
    return [
        tensor(name, answer.dtype.name, answer.shape if batch is None else (batch, *answer.shape[1:]))
        for name, answer in answers.items()
    ]


def bundle_folder(
    folder: Path,
    model: bytes,
    *,
    outputs: Sequence[Mapping[str, Any]],
    inputs: Sequence[Mapping[str, Any]] = (tensor("images", "float32", (1, 3, 32, 32)),),
    files: Mapping[str, bytes] | None = None,
    variant: Mapping[str, Any] | None = None,
    **manifest: object,
) -> tuple[Path, str]:
    """A bundle's folder as the verifier leaves it, and its manifest's digest: what ``model.load`` takes.

    Args:
        folder: to write into; made where it is missing.
        model: ``model.onnx``.
        outputs: of the only variant, in the decoder's order; see ``tensor``.
        inputs: of the only variant.
        files: further files by name, with the role ``data``.
        variant: further keys of the variant.
        manifest: further keys of the manifest, ``labels`` and ``postprocess`` at least.
    """
    folder.mkdir(parents=True, exist_ok=True)
    everything = {"model.onnx": model, **(files or {})}
    entries = []
    for name, data in everything.items():
        (folder / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        role = "model" if name == "model.onnx" else "data"
        entries.append({"path": name, "size": len(data), "sha256": digest, "role": role})
    one = {"id": "onnx", "engine": "onnxruntime", "file": "model.onnx", "inputs": inputs, "outputs": outputs}
    document: dict[str, Any] = {
        "schema": 1,
        "name": "made",
        "version": "1.0.0",
        "release_counter": 1,
        "task": "detection",
        "files": entries,
        "variants": [one | dict(variant or {})],
        "preprocess": {},
    }
    text = json.dumps(document | manifest).encode()
    (folder / "manifest.json").write_bytes(text)
    return folder, hashlib.sha256(text).hexdigest()
