"""ncnn (Tencent, github.com/Tencent/ncnn): the ``.param`` text is the model, its ``.bin`` the weights.

Tensors of ncnn have no batch: one picture at a time, and the leading 1 of the manifest's shapes is dropped.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from runtime.bundle.manifest import TensorSpec, Variant
from runtime.engine import Array, Capabilities, ModelFiles, TensorInfo, affinity, allocate, package, tensors
from runtime.engine.preference import unavailable, wanted
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions

_INSTALL = "pip install 'edgeward[ncnn]'"
CPU, VULKAN = "CPU", "Vulkan"


def capabilities() -> Capabilities:
    """See ``runtime.engine.Backend``. Vulkan is looked for only when it is asked for: that takes a while."""
    try:
        ncnn = _find()
    except package.MissingError as missing:
        return Capabilities(available=False, reason=missing.reason)
    return Capabilities(True, version=ncnn.__version__, providers=(CPU,))


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> NcnnEngine:
    """See ``runtime.engine.load``."""
    ncnn = _find()
    provider = _provider(ncnn, options, where=where)
    net = ncnn.Net()
    net.opt.use_vulkan_compute = provider == VULKAN
    net.opt.num_threads = options.threads
    # Threads that spin after each layer burn a core between frames.
    net.opt.openmp_blocktime = 0
    half = variant.precision == "float16"
    for switch in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
        setattr(net.opt, switch, half)
    with affinity.held(options.affinity):
        _read(net, files, where=where)
    known = tensors.agreed(
        variant,
        _infos(net.input_names(), variant.inputs),
        _infos(_blobs(net, variant), variant.outputs),
        where=where,
    )
    return NcnnEngine(ncnn, net, known, provider, affinity.home(options.affinity), where=where)


def _find() -> Any:
    # The copy of GNU OpenMP in its wheel reads this when it is loaded, and spins for milliseconds otherwise.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return package.find("ncnn", install=_INSTALL)


def _provider(ncnn: Any, options: EngineOptions, *, where: str) -> str:
    """``CPU``, or ``Vulkan`` when that is forced."""
    if options.provider.lower() != VULKAN.lower():
        return wanted(options, (CPU,), (CPU,), where=where)[0]
    if ncnn.get_gpu_count() < 1:
        raise unavailable(f"{VULKAN}: this host has no device for it", (CPU,), where=where)
    return VULKAN


def _read(net: Any, files: ModelFiles, *, where: str) -> None:
    """Load both files from memory: what was hashed is what is read."""
    remedy = "check that both files are complete, of one conversion, and not newer than this ncnn"
    try:
        bad = net.load_param_mem(files.model.decode())
    except UnicodeDecodeError as error:
        raise tensors.cannot_load("ncnn", error, where=where, remedy=remedy) from error
    if bad:
        reason = ValueError("its .param is not one that this ncnn reads; its log says what is wrong")
        raise tensors.cannot_load("ncnn", reason, where=where, remedy=remedy)
    # Its Python reads weights from files only: so from one that is nowhere but in memory.
    descriptor = os.memfd_create("weights", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(files.weights)
        file.flush()
        bad = net.load_model(f"/proc/self/fd/{descriptor}")
    if bad:
        reason = ValueError("its .bin does not fit its .param; its log says what is wrong")
        raise tensors.cannot_load("ncnn", reason, where=where, remedy=remedy)


def _blobs(net: Any, variant: Variant) -> list[str]:
    """Names that can be read: any blob, not only those that nothing in the net uses."""
    names = {blob.name for blob in net.blobs()}
    declared = [spec.name for spec in variant.outputs if spec.name in names]
    return list(dict.fromkeys([*declared, *net.output_names()]))


def _infos(names: list[str], specs: tuple[TensorSpec, ...]) -> list[TensorInfo]:
    """Ncnn computes in float32 and learns sizes when it runs: ranks are taken from the manifest."""
    ranks = {spec.name: len(spec.shape) for spec in specs}
    return [TensorInfo(name, "float32", (None,) * ranks.get(name, 0)) for name in names]


class NcnnEngine:
    """See ``runtime.engine.Engine``."""

    def __init__(
        self,
        ncnn: Any,
        net: Any,
        known: tensors.Tensors,
        provider: str,
        home: affinity.Home | None,
        *,
        where: str,
    ) -> None:
        self.provider = provider
        self.inputs = known.inputs
        self.outputs = known.outputs
        self._ncnn = ncnn
        self._net: Any = net
        self._known = known
        self._home = home
        self._where = where
        self._binding: NcnnBinding | None = None

    def bind(self, batch: int) -> NcnnBinding:
        """See ``runtime.engine.Engine``; one picture at a time is all that ncnn takes."""
        if batch != 1:
            raise EdgewardError(
                Code.MODEL_LOAD,
                f"ncnn takes one picture at a time, not {batch}",
                where=self._where,
                remedy="use another engine for this model, or no batches",
            )
        if self._binding is None:
            try:
                self._binding = NcnnBinding(self._ncnn, self._net, self._known, self._home, where=self._where)
            except (MemoryError, ValueError, RuntimeError) as error:
                raise tensors.cannot_bind(batch, error, where=self._where) from error
        return self._binding

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        if batch == 1 and self._binding is not None:
            self._binding.close()
            self._binding = None

    def close(self) -> None:
        """Free the net and its buffers."""
        if self._binding is not None:
            self._binding.close()
        if self._net is not None:
            self._net.clear()
        self._binding = self._net = None


class NcnnBinding:
    """See ``runtime.engine.Binding``."""

    def __init__(
        self, ncnn: Any, net: Any, known: tensors.Tensors, home: affinity.Home | None, *, where: str
    ) -> None:
        self._net = net
        self._home = home
        self._where = where
        self.inputs: list[Array] = []
        self.outputs: list[Array] = []
        self._mats: list[tuple[str, Any, Array | None, Array]] = []
        for spec, info in zip(known.variant.inputs, known.inputs, strict=True):
            size = tensors.shape(spec, info, known.variant, 1)
            self._mats.append(self._input(ncnn, spec.name, size or ()))
        self._names = [spec.name for spec in known.variant.outputs]
        kept = tensors.outputs(known, 1)
        for output, own in zip(known.variant.outputs, kept, strict=True):
            self.outputs.append(tensors.empty(output) if own is None else own)
        self._open = [output.size == 0 for output in self.outputs]

    def _input(self, ncnn: Any, name: str, size: tuple[int, ...]) -> tuple[str, Any, Array | None, Array]:
        """A tensor of ncnn's own and the buffer over it, which is its memory wherever planes need no gaps."""
        inner = size[1:] if len(size) > 1 and size[0] == 1 else size
        if not 1 <= len(inner) <= 4:
            message = f"the input {name!r} has the shape {list(size)}; ncnn takes one to four sizes"
            raise ValueError(message)
        # Not a view of our memory: ncnn writes into tensors that do not count their users.
        mat = ncnn.Mat(*reversed(inner))
        view = np.array(mat, copy=False)
        view.fill(0)
        if view.flags.c_contiguous:
            self.inputs.append(view.reshape(size))
            return name, mat, None, view
        buffer = allocate("float32", size)
        self.inputs.append(buffer)
        return name, mat, buffer.reshape(inner), view

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        if self._home is not None:
            self._home.enter()
        extractor = self._net.create_extractor()
        for name, mat, buffer, view in self._mats:
            if buffer is not None:
                view[...] = buffer
            extractor.input(name, mat)
        for at, name in enumerate(self._names):
            failed, mat = extractor.extract(name)
            if failed:
                reason = RuntimeError(f"ncnn cannot compute the output {name!r} (it answered {failed})")
                raise tensors.cannot_run(reason, where=self._where)
            found = np.array(mat, copy=False)
            if self._open[at]:
                self.outputs[at] = found.reshape(1, *found.shape).copy()
            elif found.size != self.outputs[at].size:
                shapes = f"{list(found.shape)}, not {list(self.outputs[at].shape)}"
                raise tensors.cannot_run(RuntimeError(f"output {name!r} came as {shapes}"), where=self._where)
            else:
                self.outputs[at].reshape(found.shape)[...] = found

    def close(self) -> None:
        """Let go of the net and of its tensors."""
        self.inputs, self.outputs, self._mats = [], [], []
        self._net = None
