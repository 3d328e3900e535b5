"""The inference server of a worker: from its options to its end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runtime.assembly import Assembled
from runtime.serve import listener
from runtime.serve.figures import Figures
from runtime.serve.messages import Served, ServeOptions
from runtime.serve.served_model import ServedModel
from runtime.serve.turns import Turns

# Threads beside those that wait for an answer: for the calls that need no inference, and to refuse requests.
_SPARE_THREADS = 3
_RETRY_S = 10.0
# As measured: gRPC with its threads, and what a request holds in multiples of its message.
_GRPC_MB, _COPIES = 20.0, 6.0
_CLOSE_WITHIN_S = 1.0
_IDENTITY_ONLY = 1
# Of a request beside its tensors: names, shapes, parameters.
_HEAD_BYTES = 64 << 10
# Each takes a descriptor, of which the cameras need some.
_CONNECTIONS = 64


class InferenceServer:
    """Answers requests with the models of a pipeline; the inference thread runs them, by ``turns``.

    Where it cannot listen the cameras go on: ``problem`` says why, and it is tried again.

    Args:
        options: of the configuration.
        models: the first model, then those of the stages.
        wake: see ``Turns``.
    """

    def __init__(
        self, options: ServeOptions, models: Sequence[ServedModel], wake: Callable[[], None]
    ) -> None:
        self.turns = Turns(max_queue=options.max_queue, max_share=options.max_share, wake=wake)
        self.problem = ""
        self._options = options
        self._models = _distinct(models)
        self._figures = Figures()
        self._server: Any = None
        self._gone: threading.Event | None = None
        self._retry_at = 0.0

    def attend(self) -> None:
        """Listen, if it does not yet and it is time to try (again)."""
        if self._server is not None or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + _RETRY_S
        problem = listener.clear(self._options.listen) or self._listen()
        if problem != self.problem and problem:
            print(f"inference API: {problem}", file=sys.stderr, flush=True)  # noqa: T201 - the worker's log
        self.problem = problem

    @property
    def memory_mb(self) -> float:
        """What serving may add to the worker's memory while the queue is full and more requests come."""
        return _GRPC_MB + _COPIES * self._threads * self._largest / 1e6

    def snapshot(self) -> Served:
        """The figures of the moment."""
        return self._figures.snapshot(
            listen=self._options.listen, problem=self.problem, waiting=self.turns.waiting
        )

    def close(self) -> None:
        """Refuse what waits and what comes; answers that stand leave until ``join``."""
        self.turns.close()
        if self._server is not None:
            self._gone, self._server = self._server.stop(_CLOSE_WITHIN_S), None

    def join(self, timeout_s: float) -> None:
        """After ``close``: wait until the last answer has left."""
        if self._gone is not None:
            self._gone.wait(timeout_s)

    @property
    def _threads(self) -> int:
        """How many messages are in memory at most."""
        return self._options.max_queue + 1 + _SPARE_THREADS

    @property
    def _largest(self) -> int:
        """Bytes of a message at most; what no model here takes is not even received."""
        needed = max(model.interface.request_bytes for model in self._models) + _HEAD_BYTES
        return min(needed, self._options.max_message_mb << 20)

    def _listen(self) -> str:
        """Start the server; why that failed, or an empty text."""
        # Its own words about what it cannot do go to the log of nobody's choice; ours say it.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc  # noqa: PLC0415 - 20 MB, for pipelines that serve only

        from runtime.serve.service import Service  # noqa: PLC0415 - needs grpc

        listen = self._options.listen
        server = grpc.server(
            ThreadPoolExecutor(self._threads, thread_name_prefix="serve"),
            handlers=[Service(self._models, self.turns, self._figures)],
            maximum_concurrent_rpcs=self._threads * 2,
            options=[
                ("grpc.max_receive_message_length", self._largest),
                # A client that hangs in the middle of a request holds a thread until it is found out.
                ("grpc.keepalive_time_ms", 20_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.http2.ping_timeout_ms", 10_000),
                # Or gRPC reads ahead as much as it can get, before it is asked for a message.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.max_allowed_incoming_connections", _CONNECTIONS),
                # Without it a second process could listen at the same port, and get half of the requests.
                ("grpc.so_reuseport", 0),
                # Within a device it saves nothing, and unpacking takes CPU that the cameras need.
                ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
            ],
        )
        try:
            with listener.permissions():
                server.add_insecure_port(listen)
        except RuntimeError:
            server.stop(None)
            return f"cannot listen at {listen}: gRPC refused the address"
        server.start()
        self._server = server
        return ""


def serving(options: ServeOptions, assembled: Assembled, wake: Callable[[], None]) -> InferenceServer:
    """The server of a pipeline's models; it listens once it is attended to."""
    loaded = {"": assembled.model, **assembled.stages}
    models = [
        ServedModel(model, assembled.sizes[name], max_batch=options.max_batch)
        for name, model in loaded.items()
    ]
    return InferenceServer(options, models, wake)


def _distinct(models: Sequence[ServedModel]) -> list[ServedModel]:
    """Each name and version once: two stages may use the same bundle."""
    found: dict[tuple[str, str], ServedModel] = {}
    for model in models:
        found.setdefault((model.interface.name, model.interface.version), model)
    return list(found.values())
