"""Rockchip's NPUs through ``rknn-toolkit-lite2`` (``rknnlite.api.RKNNLite``). Not run on hardware yet.

Written against the API of version 2.5, and tested against a recording of it. A ``.rknn`` file is compiled for
one kind of chip, with its batch, its normalisation and its quantisation inside: the picture goes in as
``[N, H, W, 3]``, outputs come as float32.
"""

from __future__ import annotations

import inspect
import os
from typing import Any

from runtime.bundle.manifest import Variant
from runtime.engine import Array, Capabilities, ModelFiles, TensorInfo, affinity, batchable, package, tensors
from runtime.engine.preference import wanted
from runtime.errors import Code, EdgewardError
from runtime.ipc import EngineOptions

_INSTALL = "pip install rknn-toolkit-lite2, and librknnrt.so of the same version"
NPU = "NPU"


def capabilities() -> Capabilities:
    """See ``runtime.engine.Backend``. Whether there is an NPU shows only when a model is loaded."""
    try:
        package.find("rknnlite.api", install=_INSTALL)
    except package.MissingError as missing:
        return Capabilities(available=False, reason=missing.reason)
    return Capabilities(True, version=package.version("rknn-toolkit-lite2"), providers=(NPU,))


def load(variant: Variant, files: ModelFiles, options: EngineOptions, *, where: str) -> RknnEngine:
    """See ``runtime.engine.load``. The file does not tell its tensors: they are checked as they come."""
    lite = package.find("rknnlite.api", install=_INSTALL).RKNNLite
    wanted(options, (NPU,), (NPU,), where=where)
    inputs = [TensorInfo(spec.name, spec.dtype, spec.shape) for spec in variant.inputs]
    outputs = [TensorInfo(spec.name, "float32", spec.shape) for spec in variant.outputs]
    known = tensors.agreed(variant, inputs, outputs, where=where)
    if len({spec.dtype for spec in variant.inputs}) > 1:
        tensors.mismatch("RKNN takes inputs of one dtype only", where)
    rknn = lite(verbose=False)
    # It reads models from files only: so from one that is nowhere but in memory.
    descriptor = os.memfd_create("model", os.MFD_CLOEXEC)
    with affinity.held(options.affinity), os.fdopen(descriptor, "wb") as file:
        file.write(files.model)
        file.flush()
        failed = rknn.load_rknn(f"/proc/self/fd/{descriptor}")
        failed = failed or rknn.init_runtime(core_mask=lite.NPU_CORE_AUTO)
    if failed:
        rknn.release()
        reason = RuntimeError("it does not start on this board; its log says what is wrong")
        remedy = "check that the file was made for this chip, and that librknnrt is not older than it"
        raise tensors.cannot_load("RKNN", reason, where=where, remedy=remedy)
    return RknnEngine(rknn, known, affinity.home(options.affinity), where=where)


class RknnEngine:
    """See ``runtime.engine.Engine``."""

    def __init__(self, rknn: Any, known: tensors.Tensors, home: affinity.Home | None, *, where: str) -> None:
        self.provider = NPU
        self.inputs = known.inputs
        self.outputs = known.outputs
        self._rknn: Any = rknn
        self._known = known
        self._home = home
        self._where = where
        self._bindings: dict[int, RknnBinding] = {}

    def bind(self, batch: int) -> RknnBinding:
        """See ``runtime.engine.Engine``; the batch was fixed when the file was made."""
        if batchable(self._known.variant):
            raise EdgewardError(
                Code.MODEL_LOAD,
                "an RKNN model is made for one batch size",
                where=self._where,
                remedy="give the first dimension of its picture as a number in bundle.toml",
            )
        tensors.check_batch(self._known.variant, batch, where=self._where)
        if batch not in self._bindings:
            self._bindings[batch] = RknnBinding(self._rknn, self._known, batch, self._home, where=self._where)
        return self._bindings[batch]

    def release(self, batch: int) -> None:
        """See ``runtime.engine.Engine``."""
        self._bindings.pop(batch, None)

    def close(self) -> None:
        """Give the NPU's memory back."""
        self._bindings.clear()
        if self._rknn is not None:
            self._rknn.release()
        self._rknn = None


class RknnBinding:
    """See ``runtime.engine.Binding``."""

    def __init__(
        self, rknn: Any, known: tensors.Tensors, batch: int, home: affinity.Home | None, *, where: str
    ) -> None:
        self.inputs = tensors.inputs(known, batch)
        self.outputs: list[Array] = [
            tensors.empty(spec) if kept is None else kept
            for spec, kept in zip(known.variant.outputs, tensors.outputs(known, batch), strict=True)
        ]
        self._open = [output.size == 0 for output in self.outputs]
        self._rknn = rknn
        self._home = home
        self._where = where
        self._arguments: dict[str, Any] = {"data_type": known.variant.inputs[0].dtype, "data_format": "nhwc"}
        if "reuse_outputs" in inspect.signature(rknn.inference).parameters:
            # Since 2.5: it answers with its own buffers instead of new ones; they are copied out below.
            self._arguments["reuse_outputs"] = True

    def run(self) -> None:
        """See ``runtime.engine.Binding``."""
        if self._home is not None:
            self._home.enter()
        found = self._rknn.inference(inputs=self.inputs, **self._arguments)
        if found is None or len(found) < len(self.outputs):
            reason = RuntimeError("RKNN gave no outputs; its log says what is wrong")
            raise tensors.cannot_run(reason, where=self._where)
        for at, array in enumerate(found[: len(self.outputs)]):
            if self._open[at]:
                self.outputs[at] = array.copy()
            elif array.size != self.outputs[at].size:
                shapes = f"{list(array.shape)}, not {list(self.outputs[at].shape)}"
                reason = RuntimeError(f"output {at} of the model came as {shapes}")
                raise tensors.cannot_run(reason, where=self._where)
            else:
                self.outputs[at].reshape(array.shape)[...] = array
