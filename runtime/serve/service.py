"""The calls of the Open Inference Protocol, each from its message to its answer."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from runtime.bundle.check import RUNTIME_VERSION
from runtime.serve import open_inference_pb2 as pb
from runtime.serve import request, wire
from runtime.serve.figures import Figures
from runtime.serve.interface import Tensor
from runtime.serve.refusal import Refused, shown
from runtime.serve.request import Inputs
from runtime.serve.served_model import ServedModel
from runtime.serve.turns import Job, Turns

SERVICE = "/inference.GRPCInferenceService/"

_Call = Callable[[Any, grpc.ServicerContext], Any]
# Of the numbers of a request, beside those of its tensors: their shapes.
_SHAPES = 1024


class Service:
    """A ``grpc.GenericRpcHandler``. Messages arrive as bytes, so that garbage gets a clear answer.

    Args:
        models: the pipeline's first model, then those of its stages.
        turns: who may run when.
        figures: told what became of each request.
    """

    def __init__(self, models: Sequence[ServedModel], turns: Turns, figures: Figures) -> None:
        self._models = models
        self._turns = turns
        self._figures = figures
        self._most_numbers = _SHAPES + max(model.interface.request_numbers for model in models)
        self._reading = threading.Lock()
        self._calls: dict[str, tuple[_Call, Any]] = {
            "ServerLive": (self._server_live, pb.ServerLiveRequest),
            "ServerReady": (self._server_ready, pb.ServerReadyRequest),
            "ModelReady": (self._model_ready, pb.ModelReadyRequest),
            "ServerMetadata": (self._server_metadata, pb.ServerMetadataRequest),
            "ModelMetadata": (self._model_metadata, pb.ModelMetadataRequest),
            "ModelInfer": (self._model_infer, pb.ModelInferRequest),
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of a call; None for services that are not offered."""
        method: str = details.method
        if not method.startswith(SERVICE):
            return None
        name = method.removeprefix(SERVICE)
        if name not in self._calls:
            return grpc.stream_unary_rpc_method_handler(lambda _, context: self._unknown(name, context))
        call, kind = self._calls[name]
        return grpc.unary_unary_rpc_method_handler(
            lambda data, context: self._answered(call, kind, data, context)
        )

    def _unknown(self, name: str, context: grpc.ServicerContext) -> NoReturn:
        text = f"edgeward does not offer {shown(name)}; it offers {', '.join(self._calls)}"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
        raise AssertionError

    def _answered(self, call: _Call, kind: Any, data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            message = data if call == self._model_infer else _parsed(kind, data, _SHAPES)
            answer: bytes = call(message, context).SerializeToString()
        except Refused as refused:
            if call == self._model_infer:
                self._figures.refused(refused.status)
            context.abort(getattr(grpc.StatusCode, refused.status), refused.text)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if call == self._model_infer:
                self._figures.refused("INTERNAL")
            context.abort(grpc.StatusCode.INTERNAL, "a defect in edgeward; see its log, and report it")
        return answer

    def _server_live(self, _: Any, __: grpc.ServicerContext) -> Any:
        return pb.ServerLiveResponse(live=True)

    def _server_ready(self, _: Any, __: grpc.ServicerContext) -> Any:
        return pb.ServerReadyResponse(ready=not self._turns.closed)

    def _model_ready(self, message: Any, _: grpc.ServicerContext) -> Any:
        try:
            self._model(message.name, message.version)
        except Refused:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=not self._turns.closed)

    def _server_metadata(self, _: Any, __: grpc.ServicerContext) -> Any:
        return pb.ServerMetadataResponse(name="edgeward", version=RUNTIME_VERSION)

    def _model_metadata(self, message: Any, _: grpc.ServicerContext) -> Any:
        interface = self._model(message.name, message.version).interface
        versions = [
            model.interface.version for model in self._models if model.interface.name == interface.name
        ]
        return pb.ModelMetadataResponse(
            name=interface.name,
            versions=list(dict.fromkeys(versions)),
            platform=interface.platform,
            inputs=[_metadata(tensor) for tensor in interface.inputs],
            outputs=[_metadata(tensor) for tensor in interface.outputs],
        )

    def _model_infer(self, data: bytes, context: grpc.ServicerContext) -> Any:
        self._turns.check_room()
        model, inputs, identity = self._read(data)
        left_s = context.time_remaining()
        job = self._turns.submit(model.answer(inputs), None if left_s is None else time.monotonic() + left_s)
        if not context.add_callback(lambda: self._turns.cancel(job)):
            self._turns.cancel(job)
        self._wait(job, left_s)
        outputs = [model.interface.outputs[at] for at in inputs.outputs]
        # Counted with the answer in hand: what is refused before is counted elsewhere.
        self._figures.answered(pictures=inputs.batch, waited_s=job.waited_s, ran_s=job.ran_s)
        return pb.ModelInferResponse(
            model_name=model.interface.name,
            model_version=model.interface.version,
            id=identity,
            outputs=[
                pb.ModelInferResponse.InferOutputTensor(
                    name=tensor.name, datatype=tensor.datatype, shape=array.shape
                )
                for tensor, array in zip(outputs, job.outputs, strict=True)
            ],
            raw_output_contents=[
                array.astype(np.dtype(tensor.dtype).newbyteorder("<"), copy=False).tobytes()
                for tensor, array in zip(outputs, job.outputs, strict=True)
            ],
        )

    def _read(self, data: bytes) -> tuple[ServedModel, Inputs, str]:
        """What is asked of which model, and the request's identity."""
        with self._reading:  # no two messages are in memory unpacked
            message = _parsed(pb.ModelInferRequest, data, self._most_numbers)
            model = self._model(message.model_name, message.model_version)
            return model, request.read(model.interface, message), message.id

    @staticmethod
    def _wait(job: Job, left_s: float | None) -> None:
        """Until the job is done. Of what is overdue the client was told by gRPC itself; here it is counted.

        Raises:
            Refused: there is no answer.
        """
        if not job.done.wait(None if left_s is None else min(left_s, threading.TIMEOUT_MAX)):
            raise Refused("DEADLINE_EXCEEDED", "the deadline has passed")
        if job.error is not None:
            raise job.error

    def _model(self, name: str, version: str) -> ServedModel:
        for model in self._models:
            if model.interface.name == name and version in {"", model.interface.version}:
                return model
        served = ", ".join(f"{one.interface.name} {one.interface.version}" for one in self._models)
        asked = f"{shown(name)} {shown(version)}" if version else shown(name)
        raise Refused("NOT_FOUND", f"no model {asked} is served here; there is {served}")


def _parsed(kind: Any, data: bytes, most_numbers: int) -> Any:
    wire.check(kind, data, most_numbers=most_numbers)
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise wire.no_message(kind.DESCRIPTOR) from error


def _metadata(tensor: Tensor) -> Any:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=tensor.name, datatype=tensor.datatype, shape=tensor.open_shape
    )
