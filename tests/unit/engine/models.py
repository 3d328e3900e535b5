"""Tiny models with known answers, written by the tests themselves, for every engine.

Imports of the packages that write them stand inside the functions: in the second environment, which runs the
same tests with an older LiteRT and NumPy, they do not exist, and models come ready from ``READY``.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime.bundle.manifest import InputSpec, Quantisation, TensorSpec, Variant
from runtime.engine import ModelFiles
from tests.unit.engine.tflite_writer import Array, Shape, tflite_model

READY = "EDGEWARD_TEST_TFLITE_MODELS"


class Case(NamedTuple):
    """A model, its manifest entry, and what it must answer to what."""

    variant: Variant
    files: ModelFiles
    answer: Callable[..., list[Array]]


def picture(name: str, dtype: Any, *shape: int | str, **more: Any) -> InputSpec:
    return InputSpec(name=name, dtype=dtype, shape=shape, **more)


def value(name: str, *shape: int | str, dtype: Any = "float32") -> InputSpec:
    return InputSpec(name=name, dtype=dtype, shape=shape, feed="value", value=(0.0,))


def output(name: str, dtype: Any, *shape: int | str, **more: Any) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape, **more)


def variant(
    engine: str, inputs: tuple[InputSpec, ...], outputs: tuple[TensorSpec, ...], **more: Any
) -> Variant:
    return Variant(id="tiny", engine=engine, file="tiny", inputs=inputs, outputs=outputs, **more)


def files(model: bytes, weights: bytes = b"") -> ModelFiles:
    return ModelFiles(model, weights, "0" * 64)


# ---------------------------------------------------------------- ONNX, for onnxruntime and OpenVINO


def onnx_model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Array]) -> bytes:
    """Nodes as ``(operator, inputs, outputs, attributes)``, tensors as ``(name, dtype, shape)``."""
    from onnx import checker, helper, numpy_helper  # noqa: PLC0415

    def info(name: str, dtype: str, shape: Shape) -> Any:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes],
        "tiny",
        [info(*each) for each in inputs],
        [info(*each) for each in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def onnx_affine(engine: str, dtype: str = "float32", shape: Shape = (1, 2, 2, 3)) -> Case:
    """``y = 2 x + 1``"""
    constants = {"two": np.array(2, dtype), "one": np.array(1, dtype)}
    nodes = [("Mul", ["x", "two"], ["t"], {}), ("Add", ["t", "one"], ["y"], {})]
    model = onnx_model(nodes, [("x", dtype, shape)], [("y", dtype, shape)], constants)
    entry = variant(engine, (picture("x", dtype, *shape),), (output("y", dtype, *shape),))
    return Case(entry, files(model), lambda x: [(2 * x + 1).astype(dtype)])


def onnx_heavy(engine: str) -> Case:
    """``y = x W`` with 4 MB of weights."""
    weights = np.eye(1024, dtype=np.float32)
    tensors = [("x", "float32", (1, 1, 1, 1024))], [("y", "float32", (1, 1, 1, 1024))]
    model = onnx_model([("MatMul", ["x", "w"], ["y"], {})], *tensors, {"w": weights})
    entry = variant(
        engine, (picture("x", "float32", 1, 1, 1, 1024),), (output("y", "float32", 1, 1, 1, 1024),)
    )
    return Case(entry, files(model), lambda x: [x])


def onnx_two(engine: str) -> Case:
    """``sum = a + b``, ``difference = a - b``; the manifest names the second first."""
    nodes = [("Add", ["a", "b"], ["sum"], {}), ("Sub", ["a", "b"], ["difference"], {})]
    tensors = [(name, "float32", (1, 2, 2, 3)) for name in ("a", "b", "sum", "difference")]
    model = onnx_model(nodes, tensors[:2], tensors[2:], {})
    entry = variant(
        engine,
        (value("b", 1, 2, 2, 3), picture("a", "float32", 1, 2, 2, 3)),
        (output("difference", "float32", 1, 2, 2, 3), output("sum", "float32", 1, 2, 2, 3)),
    )
    return Case(entry, files(model), lambda b, a: [a - b, a + b])


def onnx_quantised(engine: str, dtype: str) -> Case:
    """From quantised input to float32: ``y = (q - zero) / 4``."""
    zero = 3 if dtype == "uint8" else -3
    constants = {"scale": np.array(0.25, np.float32), "zero": np.array(zero, dtype)}
    nodes = [("DequantizeLinear", ["x", "scale", "zero"], ["y"], {})]
    model = onnx_model(nodes, [("x", dtype, (1, 2, 2, 3))], [("y", "float32", (1, 2, 2, 3))], constants)
    quantisation = Quantisation(scale=0.25, zero_point=zero)
    entry = variant(
        engine,
        (picture("x", dtype, 1, 2, 2, 3, quantisation=quantisation),),
        (output("y", "float32", 1, 2, 2, 3),),
    )
    return Case(entry, files(model), lambda q: [((q.astype(np.float32) - zero) * 0.25).astype(np.float32)])


def onnx_found(engine: str) -> Case:
    """Where ``x`` is over zero: a bool for each element, and ``[1, N]`` positions, as many as there are."""
    nodes = [
        ("Greater", ["x", "zero"], ["over"], {}),
        ("NonZero", ["over"], ["where"], {}),
    ]
    constants = {"zero": np.array(0, np.float32)}
    outputs = [("over", "bool", (4,)), ("where", "int64", (1, "count"))]
    model = onnx_model(nodes, [("x", "float32", (4,))], outputs, constants)
    entry = variant(
        engine, (picture("x", "float32", 4),), (output("where", "int64", 1, "n"), output("over", "uint8", 4))
    )
    return Case(entry, files(model), lambda x: [np.flatnonzero(x > 0)[None], (x > 0).astype(np.uint8)])


# ---------------------------------------------------------------- LiteRT


def _ready(name: str, make: Callable[[], bytes]) -> ModelFiles:
    """From the folder of ready models where there is one."""
    folder = os.environ.get(READY)
    return files((Path(folder) / f"{name}.tflite").read_bytes() if folder else make())


def tflite_affine(shape: Shape = (1, 2, 2, 3)) -> Case:
    """``y = 2 x + 1``"""
    name = "affine_" + "_".join(map(str, shape))

    def make() -> bytes:
        return tflite_model(
            [("MUL", ["x", "two"], ["t"]), ("ADD", ["t", "one"], ["y"])],
            {
                "x": ("float32", shape, None, None),
                "two": ("float32", (1,), None, np.array([2], np.float32)),
                "t": ("float32", shape, None, None),
                "one": ("float32", (1,), None, np.array([1], np.float32)),
                "y": ("float32", shape, None, None),
            },
            ["x"],
            ["y"],
        )

    entry = variant("litert", (picture("x", "float32", *shape),), (output("y", "float32", *shape),))
    return Case(entry, _ready(name, make), lambda x: [2 * x + 1])


def tflite_heavy() -> Case:
    """``y = x W`` with 4 MB of weights; the fully connected layer has its weights transposed, and no bias."""

    def make() -> bytes:
        return tflite_model(
            [("FULLY_CONNECTED", ["x", "w"], ["y"])],
            {
                "x": ("float32", (1, 1024), None, None),
                "w": ("float32", (1024, 1024), None, np.eye(1024, dtype=np.float32)),
                "y": ("float32", (1, 1024), None, None),
            },
            ["x"],
            ["y"],
        )

    entry = variant("litert", (picture("x", "float32", 1, 1024),), (output("y", "float32", 1, 1024),))
    return Case(entry, _ready("heavy", make), lambda x: [x])


def tflite_two() -> Case:
    """``sum = a + b``, ``difference = a - b``; the manifest names the second first."""
    shape = (1, 2, 2, 3)

    def make() -> bytes:
        return tflite_model(
            [("ADD", ["a", "b"], ["sum"]), ("SUB", ["a", "b"], ["difference"])],
            dict.fromkeys(("a", "b", "sum", "difference"), ("float32", shape, None, None)),
            ["a", "b"],
            ["sum", "difference"],
        )

    entry = variant(
        "litert",
        (value("b", *shape), picture("a", "float32", *shape)),
        (output("difference", "float32", *shape), output("sum", "float32", *shape)),
    )
    return Case(entry, _ready("two", make), lambda b, a: [a - b, a + b])


def tflite_quantised(dtype: str) -> Case:
    """From quantised input to float32: ``y = (q - zero) / 4``; the manifest leaves it to the model."""
    zero = 3 if dtype == "uint8" else -3
    quantisation = Quantisation(scale=0.25, zero_point=zero)

    def make() -> bytes:
        return tflite_model(
            [("DEQUANTIZE", ["x"], ["y"])],
            {"x": (dtype, (1, 2, 2, 3), quantisation, None), "y": ("float32", (1, 2, 2, 3), None, None)},
            ["x"],
            ["y"],
        )

    entry = variant("litert", (picture("x", dtype, 1, 2, 2, 3),), (output("y", "float32", 1, 2, 2, 3),))
    answer: Callable[..., list[Array]] = lambda q: [((q.astype(np.float32) - zero) * 0.25)]  # noqa: E731
    return Case(entry, _ready(f"quantised_{dtype}", make), answer)


def tflite_found() -> Case:
    """Where ``x`` is over zero: a bool for each element, and ``[N, 1]`` positions, as many as there are."""

    def make() -> bytes:
        return tflite_model(
            [("GREATER", ["x", "zero"], ["over"]), ("WHERE", ["over"], ["where"])],
            {
                "x": ("float32", (4,), None, None),
                "zero": ("float32", (1,), None, np.array([0], np.float32)),
                "over": ("bool", (4,), None, None),
                "where": ("int64", ("n", 1), None, None),
            },
            ["x"],
            ["over", "where"],
        )

    entry = variant(
        "litert",
        (picture("x", "float32", 4),),
        (output("where", "int64", "n", 1), output("over", "uint8", 4)),
    )
    return Case(
        entry, _ready("found", make), lambda x: [np.flatnonzero(x > 0)[:, None], (x > 0).astype(np.uint8)]
    )


def tflite_replanned() -> Case:
    """``tripled = 3 x``, and twice the places where ``x`` is over zero: LiteRT plans the end in each run."""
    shape = (1, 16, 16, 3)

    def make() -> bytes:
        nodes = [
            ("MUL", ["x", "three"], ["tripled"]),
            ("GREATER", ["x", "zero"], ["over"]),
            ("WHERE", ["over"], ["where"]),
            ("CAST", ["where"], ["places"]),
            ("ADD", ["places", "places"], ["twice"]),
        ]
        tensors: dict[str, tuple[str, Shape, Quantisation | None, Array | None]] = {
            "x": ("float32", shape, None, None),
            "three": ("float32", (1,), None, np.array([3], np.float32)),
            "zero": ("float32", (1,), None, np.array([0], np.float32)),
            "tripled": ("float32", shape, None, None),
            "over": ("bool", shape, None, None),
            "where": ("int64", ("n", 4), None, None),
            "places": ("float32", ("n", 4), None, None),
            "twice": ("float32", ("n", 4), None, None),
        }
        return tflite_model(nodes, tensors, ["x"], ["tripled", "twice"])

    outputs = (output("twice", "float32", "n", 4), output("tripled", "float32", *shape))
    entry = variant("litert", (picture("x", "float32", *shape),), outputs)
    return Case(entry, _ready("replanned", make), lambda x: [2 * np.argwhere(x > 0), 3 * x])


def write_tflite_models(folder: Path) -> None:
    """All of the above, for the environment that cannot write them."""
    for shape in ((1, 2, 2, 3), ("batch", 2, 2, 3)):
        name = "affine_" + "_".join(map(str, shape))
        (folder / f"{name}.tflite").write_bytes(tflite_affine(shape).files.model)
    (folder / "two.tflite").write_bytes(tflite_two().files.model)
    (folder / "heavy.tflite").write_bytes(tflite_heavy().files.model)
    (folder / "found.tflite").write_bytes(tflite_found().files.model)
    (folder / "replanned.tflite").write_bytes(tflite_replanned().files.model)
    for dtype in ("uint8", "int8"):
        (folder / f"quantised_{dtype}.tflite").write_bytes(tflite_quantised(dtype).files.model)


# ---------------------------------------------------------------- ncnn


def ncnn_affine(height: int = 2, width: int = 2) -> Case:
    """``y = 2 x + 1`` by two scalar BinaryOps: operator 2 multiplies, 0 adds (ncnn's table of operators)."""
    param = (
        "7767517\n3 3\n"
        "Input x 0 1 x\n"
        "BinaryOp double 1 1 x t 0=2 1=1 2=2.0\n"
        "BinaryOp more 1 1 t y 0=0 1=1 2=1.0\n"
    )
    shape = (1, 3, height, width)
    entry = variant(
        "ncnn", (picture("x", "float32", *shape),), (output("y", "float32", *shape),), weights="w"
    )
    return Case(entry, files(param.encode()), lambda x: [2 * x + 1])


def ncnn_convolution(height: int = 4, width: int = 4) -> Case:
    """A ReLU, which ncnn runs in place, and a 1x1 convolution from 3 channels to 2 with a bias.

    Weights as ncnn stores them: a tag of 4 bytes (0: plain float32), the kernel, the bias.
    """
    kernel = np.array([[1, 0, 0.5], [0, 2, -1]], np.float32)
    bias = np.array([0.5, -0.5], np.float32)
    param = "7767517\n3 3\nInput x 0 1 x\nReLU r 1 1 x t\nConvolution c 1 1 t y 0=2 1=1 5=1 6=6\n"
    weights = struct.pack("<I", 0) + kernel.tobytes() + bias.tobytes()
    entry = variant(
        "ncnn",
        (picture("x", "float32", 1, 3, height, width),),
        (output("y", "float32", 1, 2, height, width),),
        weights="w",
    )

    def answer(x: Array) -> list[Array]:
        mixed = np.einsum("oc,nchw->nohw", kernel, np.maximum(x, 0))
        return [mixed + bias[None, :, None, None]]

    return Case(entry, files(param.encode(), weights), answer)


def ncnn_heavy() -> Case:
    """``y = W x`` with 4 MB of weights in a fully connected layer without bias."""
    weights = struct.pack("<I", 0) + np.eye(1024, dtype=np.float32).tobytes()
    param = f"7767517\n2 2\nInput x 0 1 x\nInnerProduct f 1 1 x y 0=1024 1=0 2={1024 * 1024}\n"
    entry = variant(
        "ncnn", (picture("x", "float32", 1, 1024),), (output("y", "float32", 1, 1024),), weights="w"
    )
    return Case(entry, files(param.encode(), weights), lambda x: [x])


def ncnn_two() -> Case:
    """``sum = a + b``, ``difference = a - b``; the manifest names the second first."""
    param = (
        "7767517\n6 8\n"
        "Input a 0 1 a\nInput b 0 1 b\n"
        "Split sa 1 2 a a0 a1\nSplit sb 1 2 b b0 b1\n"
        "BinaryOp add 2 1 a0 b0 sum 0=0\nBinaryOp sub 2 1 a1 b1 difference 0=1\n"
    )
    shape = (1, 3, 2, 2)
    entry = variant(
        "ncnn",
        (value("b", *shape), picture("a", "float32", *shape)),
        (output("difference", "float32", *shape), output("sum", "float32", *shape)),
        weights="w",
    )
    return Case(entry, files(param.encode()), lambda b, a: [a - b, a + b])


# ---------------------------------------------------------------- OpenVINO's own format


def openvino_ir() -> Case:
    """``y = 2 x + 1`` as IR: ``.xml`` and ``.bin``."""
    import openvino  # noqa: PLC0415
    from openvino import opset13 as op  # noqa: PLC0415

    shape = (1, 2, 2, 3)
    x = op.parameter(shape, np.float32, name="x")
    factors = np.full(shape, 2, np.float32)
    y = op.add(op.multiply(x, op.constant(factors)), op.constant(np.float32(1)))
    x.output(0).set_names({"x"})
    y.output(0).set_names({"y"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(openvino.Model([y], [x]), path, compress_to_fp16=False)
        model, weights = path.read_bytes(), path.with_suffix(".bin").read_bytes()
    tensors = (picture("x", "float32", *shape),), (output("y", "float32", *shape),)
    return Case(variant("openvino", *tensors, weights="w"), files(model, weights), lambda x: [2 * x + 1])


def resident() -> int:
    """Memory of this process, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
