"""onnxruntime's execution providers: which one is taken, with what options, and what it really runs.

onnxruntime itself falls back in silence: a provider that it lacks or that fails to start is left out, and a
node that a provider cannot run goes to the CPU. So providers are tried one by one here, and the session is
asked afterwards which provider each node was given to.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from runtime.bundle.manifest import Variant
from runtime.engine import ModelFiles, cache, first_line, tensors
from runtime.engine.preference import unavailable, wanted
from runtime.ipc import EngineOptions

CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
# It sends pictures to a server of Microsoft's: never taken unless it is asked for by name.
_REMOTE = "AzureExecutionProvider"


class Chosen(NamedTuple):
    """A session and the providers that run nodes of it, most nodes first."""

    session: Any
    provider: str


def open_session(
    ort: Any,
    files: ModelFiles,
    options: EngineOptions,
    session_options: Callable[[], Any],
    variant: Variant,
    *,
    where: str,
) -> Chosen:
    """Load the model with the first provider that really runs it.

    Raises:
        EdgewardError: ``ENGINE_UNAVAILABLE`` when none of those that are wanted does, with the reason of
            each; ``MODEL_LOAD`` when the CPU, which runs every model, refuses the file.
    """
    here = tuple(ort.get_available_providers())
    best = tuple(name for name in here if name != _REMOTE)
    reasons = []
    for name in wanted(options, here, best, short, where=where):
        config = session_options()
        counts = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
        if counts:
            config.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        elif name != CPU:
            # An older onnxruntime does not say who runs what: then all of the model or nothing.
            config.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        own = _own_options(name, files, options, variant)
        providers = [(name, own), *_helpers(name, here, counts=counts)]
        try:
            session = _session(ort, files.model, config, providers)
        except Exception as error:
            # onnxruntime's exceptions share no base class below Exception.
            if name == CPU:
                remedy = "check that the file is a complete ONNX model of an opset that it knows"
                raise tensors.cannot_load("onnxruntime", error, where=where, remedy=remedy) from error
            reasons.append(f"{name}: {first_line(error)}")
            continue
        running = _running(session, counts=counts)
        if name in running:
            return Chosen(session, " + ".join(running))
        reason = (
            "it can run no part of this model" if name in session.get_providers() else "it does not start"
        )
        reasons.append(f"{name}: {reason}")
    raise unavailable("; ".join(reasons), [short(name) for name in here], where=where)


def short(name: str) -> str:
    """What profiles call a provider: ``cuda`` of ``CUDAExecutionProvider``."""
    return name.removesuffix("ExecutionProvider").lower()


def _helpers(name: str, here: tuple[str, ...], *, counts: bool) -> list[str]:
    """What may run the operators that ``name`` cannot: nothing, when it would not be told."""
    if not counts or name == CPU:
        return []
    return [CUDA, CPU] if name == TENSORRT and CUDA in here else [CPU]


def _session(ort: Any, model: bytes, config: Any, providers: list[Any]) -> Any:
    with warnings.catch_warnings():
        # What onnxruntime warns of here (a provider that fails to start) is found out and told below.
        warnings.simplefilter("ignore")
        session = ort.InferenceSession(model, config, providers=providers, enable_fallback=0)
    # It would keep the file in memory beside what it made of it, to start over with other providers.
    session._model_bytes = None  # noqa: SLF001
    return session


def _running(session: Any, *, counts: bool) -> list[str]:
    """Names of the providers that run nodes, those with most nodes first."""
    if not counts:
        return [name for name in session.get_providers() if name != CPU] or [CPU]
    nodes: dict[str, int] = {}
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
    # A model that is folded away entirely has no node: then the CPU copies constants.
    return sorted(nodes, key=lambda name: -nodes[name]) or [CPU]


def _own_options(name: str, files: ModelFiles, options: EngineOptions, variant: Variant) -> dict[str, str]:
    """A provider's own options, by its page in onnxruntime's documentation ("Execution Providers")."""
    if name == TENSORRT:
        own = {"trt_fp16_enable": "1" if variant.precision == "float16" else "0"}
        folder = cache.folder(options.cache_dir, "onnxruntime-tensorrt", files.sha256)
        if folder is not None:
            own |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}
            own |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder)}
        return own
    if name == "OpenVINOExecutionProvider":
        own = {"device_type": "CPU", "num_of_threads": str(options.threads)}
        folder = cache.folder(options.cache_dir, "onnxruntime-openvino", files.sha256)
        return own if folder is None else own | {"cache_dir": str(folder)}
    if name == "XnnpackExecutionProvider":
        return {"intra_op_num_threads": str(options.threads)}
    if name == "QNNExecutionProvider":
        return {"backend_type": "htp"}
    return {}
