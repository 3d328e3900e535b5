"""Requests to the inference API: what is accepted fits the model to the last byte."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from runtime.serve import open_inference_pb2 as pb
from runtime.serve import wire
from runtime.serve.interface import Interface, Tensor
from runtime.serve.refusal import Refused
from runtime.serve.request import Inputs, read
from tests.fuzz import corpus
from tests.fuzz.mutation import bytes_changed

# More than any of the seeds has.
MOST_NUMBERS = 256
SEEDS = corpus.read("inference")
Request = Any

FIXED = Interface(
    name="made",
    version="1.0.0",
    platform="onnxruntime",
    inputs=(
        Tensor("images", "float32", "FP32", (1, 2, 2, 2), batched=False),
        Tensor("levels", "int8", "INT8", (3,), batched=False),
        Tensor("mask", "uint8", "BOOL", (2,), batched=False),
    ),
    at=(0, 1, 2),
    outputs=(
        Tensor("scores", "float32", "FP32", (1, 4), batched=False),
        Tensor("boxes", "float32", "FP32", (-1, 4), batched=False),
    ),
    max_batch=1,
)
BATCHED = Interface(
    name="many",
    version="1.0.0",
    platform="onnxruntime",
    inputs=(
        Tensor("images", "uint8", "UINT8", (1, 2), batched=True),
        Tensor("sizes", "int64", "INT64", (1, 2), batched=True),
    ),
    at=(0, 1),
    outputs=(Tensor("scores", "float32", "FP32", (1, 4), batched=True),),
    max_batch=4,
)


def given_input(name: str, datatype: str, shape: tuple[int, ...], **contents: Any) -> Any:
    filled = {"contents": pb.InferTensorContents(**contents)} if contents else {}
    return pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape, **filled)


def raw() -> Request:
    """Sound, for ``FIXED``, its inputs in another order than the model's."""
    return pb.ModelInferRequest(
        model_name="made",
        inputs=[
            given_input("levels", "INT8", (3,)),
            given_input("images", "FP32", (1, 2, 2, 2)),
            given_input("mask", "BOOL", (2,)),
        ],
        raw_input_contents=[
            np.array([-1, 0, 127], np.int8).tobytes(),
            np.arange(8, dtype=np.float32).tobytes(),
            b"\x00\x01",
        ],
    )


def typed() -> Request:
    """The same, element by element."""
    return pb.ModelInferRequest(
        model_name="made",
        inputs=[
            given_input("images", "FP32", (1, 2, 2, 2), fp32_contents=range(8)),
            given_input("levels", "INT8", (3,), int_contents=[-1, 0, 127]),
            given_input("mask", "BOOL", (2,), bool_contents=[False, True]),
        ],
    )


def many(pictures: int = 3) -> Request:
    """Sound, for ``BATCHED``."""
    return pb.ModelInferRequest(
        inputs=[
            given_input("images", "UINT8", (pictures, 2), uint_contents=range(2 * pictures)),
            given_input("sizes", "INT64", (pictures, 2), int64_contents=[7] * 2 * pictures),
        ]
    )


def _check_refusal(refused: Refused) -> None:
    """It is for a person, and fits into the headers of an answer."""
    assert refused.status == "INVALID_ARGUMENT"
    assert refused.text.isprintable()
    assert len(refused.text.encode()) < 4000


def check(interface: Interface, data: bytes) -> Inputs | None:
    """Read one message; what is accepted fits the model to the last byte, what is not is refused in words."""
    try:
        wire.check(pb.ModelInferRequest, data, most_numbers=MOST_NUMBERS)
        message = pb.ModelInferRequest.FromString(data)
    except Refused as refused:
        _check_refusal(refused)
        return None
    except DecodeError:
        return None
    assert len(message.inputs) + len(message.outputs) + len(message.raw_input_contents) <= wire.MOST_FIELDS
    fields = [field for one in message.inputs for _, field in one.contents.ListFields()]
    numbers = [field for field in fields if len(field) and not isinstance(field[0], bytes)]
    assert sum(map(len, numbers)) <= MOST_NUMBERS
    try:
        found = read(interface, message)
    except Refused as refused:
        _check_refusal(refused)
        return None
    assert 1 <= found.batch <= interface.max_batch
    for tensor, array in zip(interface.inputs, found.arrays, strict=True):
        assert array.dtype == np.dtype(tensor.dtype)
        assert array.shape == ((found.batch, *tensor.shape[1:]) if tensor.batched else tensor.shape)
    assert found.outputs
    assert len(set(found.outputs)) == len(found.outputs) <= len(interface.outputs)
    return found


def mutate(data: bytes, random: Random) -> bytes:
    """Any bytes, or a field of the message."""
    return random.choice((bytes_changed, _field_changed))(data, random)


def _field_changed(data: bytes, random: Random) -> bytes:
    """The same message with one size, name, datatype or content of another."""
    try:
        message = pb.ModelInferRequest.FromString(data)
    except DecodeError:
        return bytes_changed(data, random)
    if not message.inputs:
        return bytes_changed(data, random)
    one, other = random.choice(message.inputs), random.choice(message.inputs)
    kind = random.randrange(6)
    if kind == 0 and one.shape:
        one.shape[random.randrange(len(one.shape))] = random.choice((-1, 0, 1, 2, 3, 4, 5, 2**31, 2**63 - 1))
    elif kind == 1:
        one.datatype = random.choice(("FP32", "FP16", "BF16", "BYTES", "BOOL", "INT8", "INT64", "UINT8", ""))
    elif kind == 2:
        one.contents.CopyFrom(other.contents)
    elif kind == 3:
        one.name = random.choice((other.name, "", "images", "levels", "\n", "x" * 300))
    elif kind == 4:
        message.outputs.add(name=random.choice(("scores", "boxes", "")))
    else:
        message.raw_input_contents.append(random.randbytes(random.choice((0, 2, 3, 32))))
    return message.SerializeToString()  # type: ignore[no-any-return]


def one(data: bytes) -> bool:
    """Read one message as a request to each model; whether one of them takes it.

    Raises:
        AssertionError: a promise does not hold.
    """
    found = [check(interface, data) for interface in (FIXED, BATCHED)]
    return any(one is not None for one in found)
