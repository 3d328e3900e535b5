"""The engines' plain Python API: one thread, nothing tuned, nothing delegated.

Golden results are to be the same on every desk that has the same versions: no thread count, no tuned
layout of this machine's processor goes into them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.check_model import resolved
from runtime.bundle.manifest import Quantisation, TensorSpec, Variant
from runtime.engine import first_line, litert_kernels, package
from runtime.errors import Code, EdgewardError

Array = NDArray[Any]
Read = Callable[[str], bytes]


class Session(Protocol):
    """A loaded model. ``quantisation``: the model file's own, of outputs that have one."""

    quantisation: Mapping[str, Quantisation]

    def run(self, fed: Mapping[str, Array]) -> list[Array]:
        """The outputs in the manifest's order."""


class _Onnx:
    """ONNX Runtime on the CPU."""

    def __init__(self, variant: Variant, read: Read) -> None:
        ort = package.find("onnxruntime", install="pip install 'edgeward[onnx]'")
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # The graph as the author wrote it: what optimisers make of it differs from processor to processor.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = ort.InferenceSession(read(variant.file), options, providers=["CPUExecutionProvider"])
        self._names = [spec.name for spec in variant.outputs]
        self.quantisation: Mapping[str, Quantisation] = {}

    def run(self, fed: Mapping[str, Array]) -> list[Array]:
        types = {each.name: each.type for each in self._session.get_inputs()}
        given = {
            name: array.astype(bool) if types.get(name) == "tensor(bool)" else array
            for name, array in fed.items()
        }
        return [np.asarray(each) for each in self._session.run(self._names, given)]


class _LiteRt:
    """LiteRT's own kernels, without XNNPACK."""

    def __init__(self, variant: Variant, read: Read) -> None:
        module = _first("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
        self._interpreter = module.Interpreter(
            model_content=read(variant.file),
            num_threads=1,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._inputs = _indices(self._interpreter, "input", variant.inputs)
        self._types = {each["index"]: each["dtype"] for each in _details(self._interpreter, "input")}
        for spec in variant.inputs:
            self._interpreter.resize_tensor_input(self._inputs[spec.name], resolved(spec, variant, batch=1))
        self._interpreter.allocate_tensors()
        indices = _indices(self._interpreter, "output", variant.outputs)
        self._outputs = [indices[spec.name] for spec in variant.outputs]
        own = {each["index"]: each["quantization"] for each in _details(self._interpreter, "output")}
        self.quantisation: Mapping[str, Quantisation] = {
            name: Quantisation(scale=float(own[index][0]), zero_point=int(own[index][1]))
            for name, index in indices.items()
            if own[index][0]
        }

    def run(self, fed: Mapping[str, Array]) -> list[Array]:
        for name, array in fed.items():
            index = self._inputs[name]
            self._interpreter.set_tensor(index, array.astype(self._types[index], copy=False))
        self._interpreter.invoke()
        return [np.asarray(self._interpreter.get_tensor(index)) for index in self._outputs]


class _OpenVino:
    """OpenVINO on the CPU, in 32 bit."""

    def __init__(self, variant: Variant, read: Read) -> None:
        ov = package.find("openvino", install="pip install 'edgeward[openvino]'")
        core = ov.Core()
        model, weights = read(variant.file), read(variant.weights) if variant.weights else b""
        loaded = core.read_model(model, weights) if weights else core.read_model(model)
        loaded.reshape({spec.name: list(resolved(spec, variant, batch=1)) for spec in variant.inputs})
        config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        self._compiled = core.compile_model(loaded, "CPU", config)
        self._names = [spec.name for spec in variant.outputs]
        self.quantisation: Mapping[str, Quantisation] = {}

    def run(self, fed: Mapping[str, Array]) -> list[Array]:
        found = self._compiled(dict(fed))
        return [np.array(found[name]) for name in self._names]


KNOWN: dict[str, tuple[type[_Onnx | _LiteRt | _OpenVino], tuple[str, ...]]] = {
    "onnxruntime": (_Onnx, ("onnxruntime",)),
    "litert": (_LiteRt, ("ai-edge-litert", "tflite-runtime")),
    "openvino": (_OpenVino, ("openvino",)),
}
"""What the reference path runs, by the manifest's name, and the distributions of which one must be there."""


def version(engine: str) -> str:
    """``onnxruntime 1.31.0``; empty where the engine is not installed, or not one of ``KNOWN``."""
    for name in KNOWN[engine][1] if engine in KNOWN else ():
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def load(variant: Variant, read: Read, *, where: str) -> Session:
    """A session of ``variant``, whose engine is one of ``KNOWN`` and installed.

    Raises:
        EdgewardError: ``MODEL_LOAD`` with what the engine says, ``MODEL_MISMATCH``.
    """
    with engine_errors(Code.MODEL_LOAD, where=f"{where}: {variant.file}"):
        return _Guarded(KNOWN[variant.engine][0](variant, read), variant, where)


class _Guarded:
    """A session whose errors are an ``EdgewardError``, and whose outputs have the manifest's dtypes."""

    def __init__(self, session: Session, variant: Variant, where: str) -> None:
        self._session, self._variant, self._where = session, variant, where
        self.quantisation = session.quantisation

    def run(self, fed: Mapping[str, Array]) -> list[Array]:
        """See ``Session``."""
        with engine_errors(Code.MODEL_RUN, where=self._where):
            found = self._session.run(fed)
        for spec, array in zip(self._variant.outputs, found, strict=True):
            same = array.dtype.name == spec.dtype or (array.dtype.name, spec.dtype) == ("bool", "uint8")
            if not same or array.ndim != len(spec.shape):
                what = f"output {spec.name!r} is {array.dtype} {list(array.shape)} in the model"
                what += f", not {spec.dtype} {list(spec.shape)}"
                remedy = "correct the variant in bundle.toml"
                raise EdgewardError(Code.MODEL_MISMATCH, what, where=self._where, remedy=remedy)
        return found


@contextmanager
def engine_errors(code: Code, *, where: str) -> Iterator[None]:
    """Whatever an engine raises inside comes out as an ``EdgewardError`` of ``code``."""
    try:
        yield
    except EdgewardError:
        raise
    except Exception as error:
        # Engines' exceptions share no base class below Exception.
        remedy = "check the model file, and names and shapes of the tensors in bundle.toml"
        raise EdgewardError(code, first_line(error), where=where, remedy=remedy) from error


def _first(*modules: str) -> Any:
    for name in modules:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(modules[0])


def _details(interpreter: Any, side: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    found = interpreter.get_input_details() if side == "input" else interpreter.get_output_details()
    return found


def _indices(interpreter: Any, side: str, specs: tuple[TensorSpec, ...]) -> dict[str, int]:
    """The interpreter's number of each tensor, by the name that it or a signature has.

    Raises:
        ValueError: there is no tensor of that name.
    """
    known = {
        name: at for one in litert_kernels.signatures(interpreter) for name, at in one[f"{side}s"].items()
    }
    known |= {each["name"]: each["index"] for each in _details(interpreter, side)}
    for spec in specs:
        if spec.name not in known:
            message = f"the model has no tensor {spec.name!r}, it has {sorted(known)}"
            raise ValueError(message)
    return {spec.name: known[spec.name] for spec in specs}
