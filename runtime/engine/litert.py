"""LiteRT (once TensorFlow Lite), by ``ai_edge_litert`` or the older ``tflite_runtime``, of one API.

Buffers are the interpreter's own tensor memory, so nothing is copied on the way in or out. LiteRT plans
that memory once, in ``allocate_tensors``; each batch size has an interpreter of its own, whose shapes and
addresses then never change. Models that are planned as they run (``litert_kernels.moves``) are the exception:
their tensors are copied.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from runtime.bundle.manifest import Quantisation, TensorSpec, Variant
from runtime.engine import (
    Array,
    Capabilities,
    ModelFiles,
    TensorInfo,
    affinity,
    allocate,
    litert_kernels,
    package,
    tensors,
    tflite_file,
)
from runtime.engine.bindings import Bindings
from runtime.errors import EdgewardError
from runtime.ipc import EngineOptions

_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
_INSTALL = "pip install 'edgeward[litert]'"


def capabilities() -> Capabilities:
    """See ``runtime.engine.Backend``."""
    try:
        module = package.find(*_MODULES, install=_INSTALL)
    except package.MissingError as missing:
        return Capabilities(available=False, reason=missing.reason)
    name = module.__name__.partition(".")[0]
    version = f"{name} {package.version(name.replace('_', '-'))}".strip()
    return Capabilities(True, version=version, providers=litert_kernels.KINDS)


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> LiteRtEngine:
    """See ``runtime.engine.load``."""
    module = package.find(*_MODULES, install=_INSTALL)
    kind = litert_kernels.kind(options, where=where)
    try:
        tflite_file.check(files.model)
    except ValueError as error:
        remedy = "pack the model again from a whole file"
        raise tensors.cannot_load("LiteRT", error, where=where, remedy=remedy) from error
    delegates = [litert_kernels.load_delegate(module, each, where=where) for each in options.delegates]
    maker = Maker(module, kind, delegates, variant, files, options, where)
    return LiteRtEngine(maker)


class Maker:
    """Makes interpreters of one model, ready to run, one a batch size."""

    def __init__(
        self,
        module: Any,
        kind: str,
        delegates: list[Any],
        variant: Variant,
        files: ModelFiles,
        options: EngineOptions,
        where: str,
    ) -> None:
        self.variant = variant
        self.options = options
        self.where = where
        self._module = module
        self._kind = kind
        self._delegates = delegates
        self._model = files.model

    def make(self, batch: int) -> tuple[Any, tensors.Tensors, str]:
        """An interpreter with its memory planned, its tensors, and what runs it.

        Raises:
            EdgewardError: ``MODEL_LOAD``, ``MODEL_MISMATCH``, ``ENGINE_UNAVAILABLE``.
        """
        resolver = self._module.OpResolverType
        chosen = resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES if self._kind == "CPU" else resolver.AUTO
        with affinity.held(self.options.affinity):
            try:
                interpreter = self._module.Interpreter(
                    model_content=self._model,
                    num_threads=self.options.threads,
                    experimental_op_resolver_type=chosen,
                    experimental_delegates=self._delegates or None,
                )
                delegated = litert_kernels.count_delegated(interpreter)
                inputs = self._planned(interpreter, batch)
            except (RuntimeError, ValueError, TypeError) as error:
                raise self._refused(error) from error
        provider = litert_kernels.running(interpreter, delegated, self.options, where=self.where)
        # Sizes of outputs stand only now.
        outputs = self._checked(interpreter, "output", self.variant.outputs)
        return interpreter, tensors.Tensors(inputs, outputs, self.variant), provider

    def _planned(self, interpreter: Any, batch: int) -> tuple[TensorInfo, ...]:
        """The inputs, checked and sized, and the memory of all tensors planned."""
        try:
            inputs = self._resized(interpreter, batch)
        except EdgewardError:
            # That LiteRT cannot run the model at all is the better thing to tell.
            interpreter.allocate_tensors()
            raise
        interpreter.allocate_tensors()
        return inputs

    def _resized(self, interpreter: Any, batch: int) -> tuple[TensorInfo, ...]:
        """The inputs, checked, and given their sizes for ``batch``."""
        variant = self.variant
        known = self._checked(interpreter, "input", variant.inputs)
        index = _indices(interpreter, "input", variant.inputs)
        shapes = {each["index"]: tuple(each["shape"]) for each in interpreter.get_input_details()}
        for spec, info in zip(variant.inputs, known, strict=True):
            size = tensors.shape(spec, info, variant, batch)
            if size is not None and size != shapes[index[spec.name]]:
                interpreter.resize_tensor_input(index[spec.name], size, strict=False)
        return known

    def _checked(self, interpreter: Any, side: str, specs: tuple[TensorSpec, ...]) -> tuple[TensorInfo, ...]:
        details = interpreter.get_input_details() if side == "input" else interpreter.get_output_details()
        names = _names(interpreter, side, specs, details)
        unsized = litert_kernels.dynamic(interpreter, names) if side == "output" else set()
        infos = []
        for each in details:
            spec = next((spec for spec in specs if spec.name == names[each["index"]]), None)
            info = _info(names[each["index"]], each, spec, side)
            if spec is not None and each["index"] in unsized:
                info = info._replace(shape=(None,) * len(spec.shape))
            infos.append(info)
        return tensors.check(side, specs, infos, self.variant, where=self.where)

    def _refused(self, error: Exception) -> EdgewardError:
        if "unresolved custom op" in str(error).lower():
            remedy = "convert it without custom operators, or name the delegate that has this one"
        else:
            remedy = "check that the file is complete, and convert it again with a current converter"
        return tensors.cannot_load("LiteRT", error, where=self.where, remedy=remedy)


class LiteRtEngine:
    """See ``runtime.engine.Engine``."""

    def __init__(self, maker: Maker) -> None:
        self._maker: Maker | None = maker
        self._first: Any
        self._first, known, self.provider = maker.make(1)
        self.inputs = known.inputs
        self.outputs = known.outputs
        self._home = affinity.home(maker.options.affinity)
        self._bindings: Bindings[LiteRtBinding] = Bindings()

    def bind(self, batch: int) -> LiteRtBinding:
        """See ``runtime.engine.Engine``."""
        if batch in self._bindings:
            return self._bindings[batch]
        maker = self._maker
        if maker is None:
            message = "the engine is closed"
            raise RuntimeError(message)
        tensors.check_batch(maker.variant, batch, where=maker.where)
        if self._first is not None and batch == 1:
            interpreter, self._first = self._first, None
        else:
            try:
                interpreter, _, _ = maker.make(batch)
            except MemoryError as error:
                raise tensors.cannot_bind(batch, error, where=maker.where) from error
        self._bindings[batch] = LiteRtBinding(interpreter, maker.variant, self._home, where=maker.where)
        return self._bindings[batch]

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        self._bindings.release(batch)

    def close(self) -> None:
        """Drop the interpreters; their memory, which the buffers are, goes with them."""
        self._bindings.close()
        self._first = self._maker = None


class LiteRtBinding:
    """See ``runtime.engine.Binding``."""

    def __init__(self, interpreter: Any, variant: Variant, home: affinity.Home | None, *, where: str) -> None:
        self._interpreter = interpreter
        self._invoke = interpreter.invoke
        self._home = home
        self._where = where
        inputs = _indices(interpreter, "input", variant.inputs)
        outputs = _indices(interpreter, "output", variant.outputs)
        moves = litert_kernels.moves(interpreter)
        buffer = _copied if moves else _memory
        self.inputs = [buffer(interpreter, inputs[spec.name]) for spec in variant.inputs]
        self.outputs: list[Array] = []
        self._open: list[tuple[int, int]] = []
        self._moved_in = [
            (inputs[spec.name], own) for spec, own in zip(variant.inputs, self.inputs, strict=True)
        ]
        self._moved_out: list[tuple[int, Array]] = []
        dynamic = litert_kernels.dynamic(interpreter, outputs.values())
        for at, spec in enumerate(variant.outputs):
            index = outputs[spec.name]
            if index in dynamic:
                self._open.append((at, index))
                self.outputs.append(tensors.empty(spec))
            else:
                self.outputs.append(buffer(interpreter, index))
                self._moved_out.append((index, self.outputs[at]))
        if not moves:
            self._moved_in, self._moved_out = [], []

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        if self._home is not None:
            self._home.enter()
        try:
            # No array of tensor() may be alive when the model runs.
            for index, own in self._moved_in:
                _as_declared(self._interpreter.tensor(index)())[...] = own
            self._invoke()
            for index, own in self._moved_out:
                own[...] = _as_declared(self._interpreter.tensor(index)())
            for at, index in self._open:
                self.outputs[at] = _as_declared(self._interpreter.get_tensor(index))
        except (RuntimeError, ValueError) as error:
            raise tensors.cannot_run(error, where=self._where) from error

    def close(self) -> None:
        """Let go of the interpreter and of its memory."""
        self.inputs, self.outputs, self._moved_in, self._moved_out = [], [], [], []
        self._interpreter = self._invoke = None


def _memory(interpreter: Any, index: int) -> Array:
    """The tensor's own memory as an array that holds no reference to the interpreter.

    LiteRT's Python refuses to run while an array of ``tensor()`` is alive, lest its memory moves. Here it
    cannot: nothing is resized or allocated after this.
    """
    view = interpreter.tensor(index)()
    address, size = view.__array_interface__["data"][0], view.nbytes
    raw = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return _as_declared(raw.view(view.dtype).reshape(view.shape))


def _copied(interpreter: Any, index: int) -> Array:
    """A buffer of ours for a tensor that moves."""
    view = _as_declared(interpreter.tensor(index)())
    return allocate(view.dtype.name, view.shape)


def _as_declared(array: Array) -> Array:
    return array.view(np.uint8) if array.dtype == bool else array


def _info(name: str, detail: Any, spec: TensorSpec | None, side: str) -> TensorInfo:
    signature = detail.get("shape_signature")
    before_planning = side == "input" and signature is not None and len(signature) > 0
    sizes = (signature if before_planning else detail["shape"]).tolist()
    declared = spec.shape if spec is not None and len(spec.shape) == len(sizes) else sizes
    # Files seldom say what may be resized: where the manifest gives no number it is tried, and checked after.
    shape = tuple(
        None if size < 0 or isinstance(mine, str) else int(size)
        for size, mine in zip(sizes, declared, strict=True)
    )
    quantised = detail["quantization_parameters"]
    quantisation = None
    dtype = np.dtype(detail["dtype"]).name
    if len(quantised["scales"]) == 1 and dtype in {"uint8", "int8"} and quantised["scales"][0] > 0:
        zero = int(quantised["zero_points"][0]) if len(quantised["zero_points"]) else 0
        quantisation = Quantisation(scale=float(quantised["scales"][0]), zero_point=zero)
    return TensorInfo(name, dtype, shape, quantisation)


def _indices(interpreter: Any, side: str, specs: tuple[TensorSpec, ...]) -> dict[str, int]:
    """LiteRT's number of each tensor by the manifest's name of it."""
    details = interpreter.get_input_details() if side == "input" else interpreter.get_output_details()
    return {name: index for index, name in _names(interpreter, side, specs, details).items()}


def _names(interpreter: Any, side: str, specs: tuple[TensorSpec, ...], details: list[Any]) -> dict[int, str]:
    """What to call each tensor: as in its signature where the manifest does so, else its own name."""
    own = {each["index"]: each["name"] for each in details}
    if {spec.name for spec in specs} <= set(own.values()):
        return own
    for signature in litert_kernels.signatures(interpreter):
        by_index = {index: name for name, index in signature[f"{side}s"].items() if index in own}
        if {spec.name for spec in specs} <= set(by_index.values()):
            return own | by_index
    return own
