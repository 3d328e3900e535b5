"""What a program with ``tritonclient`` does on the device, in a process of its own.

Of its own also because the client brings the protocol's messages along under the same names as the worker's:
one process takes them from one of the two only. Nothing here imports the worker's.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DATATYPES = {"float32": "FP32", "float16": "FP16", "uint8": "UINT8", "int8": "INT8", "bool": "BOOL"}


class Answer(NamedTuple):
    """Outputs by name, or the status and text of the error."""

    outputs: Mapping[str, Array]
    id: str = ""
    model: tuple[str, str] = ("", "")
    status: str = ""
    text: str = ""


class Hammered(NamedTuple):
    """How often each status came, and the seconds of the answered requests."""

    statuses: Mapping[str, int]
    seconds: Sequence[float]


class Triton:
    """Calls at one address; each runs in the client's process."""

    def __init__(self, pool: ProcessPoolExecutor, address: str) -> None:
        self._pool = pool
        self.address = address

    def live(self) -> tuple[bool, bool]:
        """Whether the server is live, and ready."""
        return self._pool.submit(_live, self.address).result(60)

    def model_ready(self, name: str, version: str = "") -> bool:
        return self._pool.submit(_model_ready, self.address, name, version).result(60)

    def server(self) -> dict[str, Any]:
        return self._pool.submit(_server, self.address).result(60)

    def metadata(self, name: str, version: str = "") -> dict[str, Any]:
        return self._pool.submit(_metadata, self.address, name, version).result(60)

    def infer(self, name: str, inputs: Mapping[str, Array], **more: Any) -> Answer:
        """``more``: outputs, version, id, timeout_s, datatypes, shapes, parameters, compression."""
        return self._pool.submit(_infer, self.address, name, inputs, more).result(60)

    def wait_answer(self, name: str, inputs: Mapping[str, Array], seconds: float = 30) -> list[str]:
        """Ask until there is an answer; the statuses of those before."""
        return self._pool.submit(_wait_answer, self.address, name, inputs, seconds).result(seconds + 30)

    def hammer(
        self, name: str, inputs: Mapping[str, Array], *, clients: int, seconds: float, timeout_s: float = 30
    ) -> Hammered:
        """So many clients, each of which asks again as soon as it has its answer."""
        job = self._pool.submit(_hammer, self.address, name, inputs, clients, seconds, timeout_s)
        return job.result(seconds + 60)


@contextmanager
def triton(address: str) -> Iterator[Triton]:
    """A client's process for the time of the block."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        yield Triton(pool, address)


def _client(address: str) -> Any:
    import tritonclient.grpc as client  # noqa: PLC0415 - see the module

    return client.InferenceServerClient(address)


def _live(address: str) -> tuple[bool, bool]:
    with _client(address) as client:
        return client.is_server_live(client_timeout=10), client.is_server_ready(client_timeout=10)


def _model_ready(address: str, name: str, version: str) -> bool:
    with _client(address) as client:
        return bool(client.is_model_ready(name, version, client_timeout=10))


def _server(address: str) -> dict[str, Any]:
    with _client(address) as client:
        found: dict[str, Any] = client.get_server_metadata(as_json=True, client_timeout=10)
        return found


def _metadata(address: str, name: str, version: str) -> dict[str, Any]:
    with _client(address) as client:
        found: dict[str, Any] = client.get_model_metadata(name, version, as_json=True, client_timeout=10)
        return found


def _infer(address: str, name: str, arrays: Mapping[str, Array], more: Mapping[str, Any]) -> Answer:
    with _client(address) as client:
        return _ask(client, name, arrays, more)


def _ask(client: Any, name: str, arrays: Mapping[str, Array], more: Mapping[str, Any]) -> Answer:
    import tritonclient.grpc as triton_grpc  # noqa: PLC0415 - see the module
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415 - see the module

    inputs = []
    for key, array in arrays.items():
        shape = more.get("shapes", {}).get(key, array.shape)
        datatype = more.get("datatypes", {}).get(key, DATATYPES[array.dtype.name])
        given = triton_grpc.InferInput(key, list(array.shape), DATATYPES[array.dtype.name])
        given.set_data_from_numpy(array)
        given.set_shape(list(shape))
        given._input.datatype = datatype
        inputs.append(given)
    wanted = [triton_grpc.InferRequestedOutput(key) for key in more.get("outputs", ())] or None
    try:
        answer = client.infer(
            name,
            inputs,
            model_version=more.get("version", ""),
            outputs=wanted,
            request_id=more.get("id", ""),
            client_timeout=more.get("timeout_s", 30),
            parameters=more.get("parameters"),
            compression_algorithm=more.get("compression"),
        )
    except InferenceServerException as error:
        return Answer({}, status=str(error.status()).removeprefix("StatusCode."), text=str(error.message()))
    response = answer.get_response()
    return Answer(
        {output.name: np.array(answer.as_numpy(output.name)) for output in response.outputs},
        response.id,
        (response.model_name, response.model_version),
    )


def _wait_answer(address: str, name: str, arrays: Mapping[str, Array], seconds: float) -> list[str]:
    statuses = []
    deadline = time.monotonic() + seconds
    with _client(address) as client:
        while time.monotonic() < deadline:
            answer = _ask(client, name, arrays, {"timeout_s": 5})
            if not answer.status:
                return statuses
            statuses.append(answer.status)
            time.sleep(0.05)  # gRPC itself waits longer and longer before it connects again
    raise AssertionError(f"no answer within {seconds} s, but {Counter(statuses)}")


def _hammer(
    address: str, name: str, arrays: Mapping[str, Array], clients: int, seconds: float, timeout_s: float
) -> Hammered:
    until = time.monotonic() + seconds
    lock = threading.Lock()
    statuses: Counter[str] = Counter()
    took: list[float] = []

    def one() -> None:
        with _client(address) as client:
            while (began := time.monotonic()) < until:
                answer = _ask(client, name, arrays, {"timeout_s": timeout_s})
                with lock:
                    statuses[answer.status or "OK"] += 1
                    if not answer.status:
                        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Hammered(dict(statuses), took)
