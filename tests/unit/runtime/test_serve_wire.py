"""A message from outside is refused before it unpacks to much more than itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.serve import open_inference_pb2 as pb
from runtime.serve import wire
from runtime.serve.refusal import Refused
from tests.fuzz import inference

pytestmark = pytest.mark.unit

KIND = pb.ModelInferRequest


def field(number: int, data: bytes) -> bytes:
    """Length-delimited."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def contents(number: int, data: bytes) -> bytes:
    return field(5, field(5, field(number, data)))


@pytest.mark.parametrize("request_", [inference.raw(), inference.typed(), inference.many()])
def test_a_sound_request_is_let_through(request_: inference.Request) -> None:
    wire.check(KIND, request_.SerializeToString(), most_numbers=64)


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(field(5, b""), id="inputs"),
        pytest.param(field(6, b""), id="outputs"),
        pytest.param(field(4, b""), id="parameters"),
        pytest.param(field(7, b""), id="raw-contents"),
        pytest.param(b"\x78\x00", id="unknown"),
        pytest.param(contents(8, b""), id="texts-within"),
        pytest.param(field(5, field(4, b"")), id="parameters-within"),
        pytest.param(field(5, b"\x18\x01"), id="unpacked-shape"),
    ],
)
def test_more_fields_than_any_request_has_are_refused_before_they_are_unpacked(one: bytes) -> None:
    with pytest.raises(Refused, match="more than 4096 fields") as caught:
        wire.check(KIND, one * 4097, most_numbers=1 << 20)
    assert caught.value.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("number", "data", "numbers"),
    [(1, b"\1", 1), (2, b"\xff\x01", 1), (3, b"\1", 1), (5, b"\1", 1), (6, b"\0" * 4, 1), (7, b"\0" * 8, 1)],
    ids=["bool", "int", "int64", "uint64", "fp32", "fp64"],
)
def test_numbers_are_counted_over_all_inputs(number: int, data: bytes, numbers: int) -> None:
    half = contents(number, data * 50)
    wire.check(KIND, half + half, most_numbers=100 * numbers)
    with pytest.raises(Refused, match="more than 100 numbers"):
        wire.check(KIND, half + half + contents(number, data), most_numbers=100 * numbers)


@pytest.mark.parametrize(
    "data",
    [b"\x2a", b"\x2a\x05ab", b"\xff" * 11, b"\x2b\x2c", b"\x29\x00", b"\x2a\x02\x2a\x09"],
    ids=["no-length", "short", "endless-number", "group", "short-fixed", "short-within"],
)
def test_what_is_no_message_is_told_so(data: bytes) -> None:
    with pytest.raises(Refused, match=r"the request is no inference\.ModelInferRequest"):
        wire.check(KIND, data, most_numbers=64)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40))
def test_the_count_is_that_of_the_numbers_in_the_message(numbers: list[int]) -> None:
    made = pb.ModelInferRequest(inputs=[inference.given_input("x", "INT64", (), int64_contents=numbers)])
    wire.check(KIND, made.SerializeToString(), most_numbers=len(numbers))
    if numbers:
        with pytest.raises(Refused, match="numbers"):
            wire.check(KIND, made.SerializeToString(), most_numbers=len(numbers) - 1)


def test_raw_data_is_not_looked_at() -> None:
    data = np.zeros(1 << 20, np.uint8).tobytes()
    wire.check(KIND, pb.ModelInferRequest(raw_input_contents=[data]).SerializeToString(), most_numbers=0)
