"""OpenVINO: models as IR (``.xml`` with its ``.bin`` as weights) or ONNX, compiled for each batch size."""

from __future__ import annotations

from typing import Any

from runtime.bundle.manifest import TensorSpec, Variant
from runtime.bundle.onnx_file import refers_elsewhere
from runtime.engine import (
    Array,
    Capabilities,
    ModelFiles,
    TensorInfo,
    affinity,
    allocate,
    cache,
    first_line,
    package,
    tensors,
)
from runtime.engine.bindings import Bindings
from runtime.engine.preference import unavailable, wanted
from runtime.ipc import EngineOptions

_INSTALL = "pip install 'edgeward[openvino]'"
_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "u8": "uint8",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
    "boolean": "bool",
}


def capabilities() -> Capabilities:
    """See ``runtime.engine.Backend``."""
    try:
        ov = package.find("openvino", install=_INSTALL)
        devices = tuple(ov.Core().available_devices)
    except package.MissingError as missing:
        return Capabilities(available=False, reason=missing.reason)
    except RuntimeError as error:
        return Capabilities(available=False, reason=f"OpenVINO does not start: {_reason(error)}")
    return Capabilities(True, version=ov.__version__.partition("-")[0], providers=devices)


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> OpenVinoEngine:
    """See ``runtime.engine.load``."""
    ov = package.find("openvino", install=_INSTALL)
    core = ov.Core()
    try:
        # Bytes, not paths: what was hashed is what is read, and nothing beside it.
        if not files.weights and not files.model.lstrip().startswith(b"<") and refers_elsewhere(files.model):
            message = "it keeps weights in another file, which was not hashed with it"
            raise ValueError(message)  # noqa: TRY301 - told below like what OpenVINO refuses
        parts = (files.model, files.weights) if files.weights else (files.model,)
        model = core.read_model(*parts)
    except (RuntimeError, TypeError, ValueError) as error:
        remedy = "check that the model is a complete ONNX or IR file, and that an IR has its .bin as weights"
        reason = RuntimeError(_reason(error))
        raise tensors.cannot_load("OpenVINO", reason, where=where, remedy=remedy) from error
    known = tensors.agreed(
        variant, _infos(model.inputs, variant.inputs), _infos(model.outputs, variant.outputs), where=where
    )
    compiler = Compiler(ov, core, model, known, files.sha256, options, where)
    return OpenVinoEngine(compiler)


class Compiler:
    """Compiles one model for a batch size, on the first device that takes it."""

    def __init__(
        self,
        ov: Any,
        core: Any,
        model: Any,
        known: tensors.Tensors,
        sha256: str,
        options: EngineOptions,
        where: str,
    ) -> None:
        self.ov = ov
        self.known = known
        self.options = options
        self.where = where
        self._core = core
        self._model = model
        self._sha256 = sha256
        # No AUTO, MULTI or HETERO: they choose by themselves and change their mind while they run.
        here = core.available_devices
        best = sorted(here, key=lambda name: name == "CPU")
        self._devices = wanted(options, here, best, where=where)

    def compile(self, batch: int) -> tuple[Any, str]:
        """The model for that batch, and the devices that run it.

        Raises:
            EdgewardError: ``MODEL_LOAD`` when the shapes do not fit, ``ENGINE_UNAVAILABLE`` when no device
                that is wanted takes the model.
        """
        shapes = {}
        for info, spec in zip(self.known.inputs, self.known.variant.inputs, strict=True):
            size = tensors.shape(spec, info, self.known.variant, batch)
            shapes[info.name] = list(size or ())
        reasons = []
        try:
            self._model.reshape(shapes)
        except RuntimeError as error:
            raise tensors.cannot_bind(batch, RuntimeError(_reason(error)), where=self.where) from error
        for device in self._devices:
            try:
                with affinity.held(self.options.affinity):
                    compiled = self._core.compile_model(self._model, device, self._config(device))
            except RuntimeError as error:
                reasons.append(f"{device}: {_reason(error)}")
                continue
            return compiled, " + ".join(compiled.get_property("EXECUTION_DEVICES"))
        raise unavailable("; ".join(reasons), self._core.available_devices, where=self.where)

    def _config(self, device: str) -> dict[str, Any]:
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self.known.variant.precision == "float32":
            # On some processors OpenVINO computes in 16 bit of its own accord.
            config["INFERENCE_PRECISION_HINT"] = "f32"
        if device == "CPU":
            config |= {"INFERENCE_NUM_THREADS": self.options.threads, "NUM_STREAMS": 1}
            # Its own pinning knows nothing of the profile's affinity.
            config["ENABLE_CPU_PINNING"] = False
        folder = cache.folder(self.options.cache_dir, "openvino", self._sha256, self.ov.__version__)
        if folder is not None:
            config["CACHE_DIR"] = str(folder)
        return config


class OpenVinoEngine:
    """See ``runtime.engine.Engine``."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler: Any = compiler
        # Compiled now for one picture, so that what is wrong is told when the model is loaded.
        self._first, self.provider = compiler.compile(1)
        self.inputs = compiler.known.inputs
        self.outputs = compiler.known.outputs
        self._home = affinity.home(compiler.options.affinity)
        self._bindings: Bindings[OpenVinoBinding] = Bindings()

    def bind(self, batch: int) -> OpenVinoBinding:
        """See ``runtime.engine.Engine``."""
        if batch not in self._bindings:
            compiler = self._compiler
            tensors.check_batch(compiler.known.variant, batch, where=compiler.where)
            compiled, self._first = self._first, None
            if compiled is None or batch != 1:
                compiled, _ = compiler.compile(batch)
            try:
                binding = OpenVinoBinding(compiler, compiled, batch, self._home)
            except (MemoryError, RuntimeError, ValueError) as error:
                raise tensors.cannot_bind(batch, error, where=compiler.where) from error
            self._bindings[batch] = binding
        return self._bindings[batch]

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        self._bindings.release(batch)

    def close(self) -> None:
        """Drop the compiled models and their buffers."""
        self._bindings.close()
        self._first = self._compiler = None


class OpenVinoBinding:
    """See ``runtime.engine.Binding``."""

    def __init__(self, compiler: Compiler, compiled: Any, batch: int, home: affinity.Home | None) -> None:
        known = compiler.known
        self.inputs = tensors.inputs(known, batch)
        self.outputs: list[Array] = []
        self._home = home
        self._where = compiler.where
        self._request: Any = compiled.create_infer_request()
        self._open: list[tuple[int, Any]] = []
        for info, buffer in zip(known.inputs, self.inputs, strict=True):
            array = buffer.view(bool) if info.dtype == "bool" else buffer
            self._request.set_tensor(info.name, compiler.ov.Tensor(array, shared_memory=True))
        for at, (info, spec) in enumerate(zip(known.outputs, known.variant.outputs, strict=True)):
            port = compiled.output(info.name)
            if port.partial_shape.is_dynamic:
                self._open.append((at, port))
                self.outputs.append(tensors.empty(spec))
                continue
            size = tuple(port.partial_shape.to_shape())
            declared = tensors.shape(spec, info, known.variant, batch)
            if declared not in {None, size}:
                what = f"output {spec.name!r} is {list(size)} in the model, not {list(spec.shape)}"
                tensors.mismatch(what, self._where)
            kept = allocate(spec.dtype, size)
            array = kept.view(bool) if info.dtype == "bool" else kept
            self._request.set_tensor(port, compiler.ov.Tensor(array, shared_memory=True))
            self.outputs.append(kept)

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        if self._home is not None:
            self._home.enter()
        try:
            # Unless outputs are shared, Python's infer() copies each of them into its answer.
            self._request.infer({}, share_outputs=True)
            for at, port in self._open:
                self.outputs[at] = self._request.get_tensor(port).data.copy()
        except RuntimeError as error:
            raise tensors.cannot_run(RuntimeError(_reason(error)), where=self._where) from error

    def close(self) -> None:
        """Let go of the compiled model."""
        self._request = None


def _infos(ports: list[Any], specs: tuple[TensorSpec, ...]) -> list[TensorInfo]:
    """Tensors as OpenVINO has them; it may know one by several names, of which the manifest uses one."""
    declared = {spec.name for spec in specs}
    infos = []
    for port in ports:
        names = port.get_names()
        name = next(iter(sorted(declared & names)), None) or (port.any_name if names else "")
        shape = tuple(size.get_length() if size.is_static else None for size in port.partial_shape)
        dtype = port.element_type.get_type_name()
        infos.append(TensorInfo(name, _DTYPES.get(dtype, dtype), shape))
    return infos


def _reason(error: Exception) -> str:
    """OpenVINO's texts begin with the places in its source: what went wrong is further down."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return first_line(RuntimeError(telling[0])) if telling else first_line(error)
