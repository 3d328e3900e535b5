"""What a client sends is what the model takes, or is refused with what was expected and what came."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.serve import open_inference_pb2 as pb
from runtime.serve.interface import Interface, Tensor
from runtime.serve.refusal import Refused
from runtime.serve.request import read
from tests.fuzz import inference
from tests.fuzz.inference import BATCHED, FIXED, Request, check, given_input, many, raw, typed

pytestmark = pytest.mark.unit

HALF = Interface(
    name="half",
    version="1.0.0",
    platform="onnxruntime",
    inputs=(Tensor("images", "float16", "FP16", (1, 2), batched=False),),
    at=(0,),
    outputs=FIXED.outputs,
    max_batch=1,
)


def changed(base: Callable[[], Request], change: Callable[[Request], object]) -> Request:
    request = base()
    change(request)
    return request


@pytest.mark.parametrize("make", [raw, typed])
def test_raw_and_typed_contents_become_the_same_arrays_in_the_models_order(
    make: Callable[[], Request],
) -> None:
    found = read(FIXED, make())
    images, levels, mask = found.arrays
    np.testing.assert_array_equal(images, np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2))
    np.testing.assert_array_equal(levels, np.array([-1, 0, 127], np.int8))
    np.testing.assert_array_equal(mask, np.array([0, 1], np.uint8))
    assert [array.dtype for array in found.arrays] == [np.float32, np.int8, np.uint8]
    assert (found.batch, found.outputs) == (1, (0, 1))


def test_the_first_size_counts_the_pictures_where_the_model_takes_several() -> None:
    found = read(BATCHED, many(3))
    assert found.batch == 3
    assert [array.shape for array in found.arrays] == [(3, 2), (3, 2)]


def test_outputs_come_in_the_order_in_which_they_are_asked_for() -> None:
    request = raw()
    request.outputs.add(name="boxes")
    assert read(FIXED, request).outputs == (1,)
    request.outputs.add(name="scores")
    assert read(FIXED, request).outputs == (1, 0)


def test_half_floats_travel_raw() -> None:
    data = np.array([[0.5, -2]], np.float16)
    request = pb.ModelInferRequest(
        inputs=[given_input("images", "FP16", (1, 2))], raw_input_contents=[data.tobytes()]
    )
    np.testing.assert_array_equal(read(HALF, request).arrays[0], data)
    request = pb.ModelInferRequest(inputs=[given_input("images", "FP16", (1, 2), fp32_contents=[1, 2])])
    with pytest.raises(Refused, match="FP16 has no typed contents; send raw_input_contents"):
        read(HALF, request)


def shape(request: Request, at: int, sizes: list[int]) -> None:
    request.inputs[at].shape[:] = sizes


BAD: dict[str, tuple[Interface, Request, str]] = {
    "no input": (
        FIXED,
        pb.ModelInferRequest(),
        "input 'images' is missing; the model made takes 'images', 'l",
    ),
    "a missing input": (
        FIXED,
        changed(typed, lambda it: it.inputs.pop(1)),
        "input 'levels' is missing",
    ),
    "an unknown input": (
        FIXED,
        changed(typed, lambda it: setattr(it.inputs[1], "name", "level")),
        "no input 'level'; the model made takes 'images', 'levels', 'mask'",
    ),
    "an input too many": (
        FIXED,
        changed(typed, lambda it: it.inputs.append(it.inputs[0])),
        "4 inputs; the model made takes",
    ),
    "an input twice": (
        FIXED,
        changed(typed, lambda it: it.inputs[1].CopyFrom(it.inputs[0])),
        "input 'images' stands there twice",
    ),
    "another datatype": (
        FIXED,
        changed(typed, lambda it: setattr(it.inputs[0], "datatype", "FP64")),
        "input 'images': datatype 'FP64': expected FP32",
    ),
    "BYTES": (
        FIXED,
        changed(typed, lambda it: setattr(it.inputs[0], "datatype", "BYTES")),
        "input 'images': datatype 'BYTES' is not supported: expected FP32",
    ),
    "BF16": (
        FIXED,
        changed(typed, lambda it: setattr(it.inputs[0], "datatype", "BF16")),
        "datatype 'BF16' is not supported: expected FP32",
    ),
    "another shape": (
        FIXED,
        changed(typed, lambda it: shape(it, 0, [1, 2, 2, 3])),
        "input 'images': shape [1, 2, 2, 3], expected [1, 2, 2, 2]",
    ),
    "no shape": (FIXED, changed(typed, lambda it: shape(it, 0, [])), "shape [], expected [1, 2, 2, 2]"),
    "a rank too many": (
        FIXED,
        changed(typed, lambda it: shape(it, 0, [1] * 5000)),
        "shape [1, 1, 1, 1, 1, 1, 1, 1, ...], expected [1, 2, 2, 2]",
    ),
    "a negative size": (
        FIXED,
        changed(typed, lambda it: shape(it, 0, [1, -2, -2, 2])),
        "shape [1, -2, -2, 2]",
    ),
    "a huge size": (FIXED, changed(typed, lambda it: shape(it, 0, [2**62] * 4)), "expected [1, 2, 2, 2]"),
    "too few raw bytes": (
        FIXED,
        changed(raw, lambda it: it.raw_input_contents.__setitem__(1, b"\0" * 31)),
        "input 'images': 31 bytes, expected 32 for [1, 2, 2, 2] of FP32",
    ),
    "a raw entry too few": (
        FIXED,
        changed(raw, lambda it: it.raw_input_contents.pop()),
        "raw_input_contents has 2 entries for 3 inputs",
    ),
    "raw and typed": (
        FIXED,
        changed(raw, lambda it: it.inputs[1].contents.fp32_contents.append(1)),
        "input 'images' has both contents and raw_input_contents",
    ),
    "a BOOL of 2": (
        FIXED,
        changed(raw, lambda it: it.raw_input_contents.__setitem__(2, b"\0\x02")),
        "input 'mask': a byte of BOOL is 2, expected 0 or 1",
    ),
    "an element too few": (
        FIXED,
        changed(typed, lambda it: it.inputs[0].contents.fp32_contents.pop()),
        "input 'images': 7 elements, expected 8 for [1, 2, 2, 2] of FP32",
    ),
    "no contents at all": (
        FIXED,
        changed(typed, lambda it: it.inputs[0].ClearField("contents")),
        "input 'images': 0 elements, expected 8",
    ),
    "contents of another type": (
        FIXED,
        changed(typed, lambda it: it.inputs[0].contents.fp64_contents.append(1)),
        "input 'images': fp64_contents holds no FP32; expected fp32_contents",
    ),
    "an integer that is too large": (
        FIXED,
        changed(typed, lambda it: it.inputs[1].contents.int_contents.__setitem__(0, 128)),
        "input 'levels': 128 is no INT8",
    ),
    "an integer that is too small": (
        FIXED,
        changed(typed, lambda it: it.inputs[1].contents.int_contents.__setitem__(0, -129)),
        "input 'levels': -129 is no INT8",
    ),
    "an unknown output": (
        FIXED,
        changed(typed, lambda it: it.outputs.add(name="x" * 500)),
        "no output '" + "x" * 80 + "...'; the model made has 'scores', 'boxes'",
    ),
    "an output twice": (
        FIXED,
        changed(typed, lambda it: (it.outputs.add(name="boxes"), it.outputs.add(name="boxes"))),
        "output 'boxes' is asked for twice",
    ),
    "shared memory": (
        FIXED,
        changed(
            typed,
            lambda it: (
                it.inputs[0].parameters["shared_memory_region"].MergeFrom(pb.InferParameter(string_param="a"))
            ),
        ),
        "input 'images': the parameter 'shared_memory_region' is not supported",
    ),
    "a sequence": (
        FIXED,
        changed(typed, lambda it: it.parameters["sequence_id"].MergeFrom(pb.InferParameter(int64_param=1))),
        "the request: the parameter 'sequence_id' is not supported",
    ),
    "no picture": (BATCHED, many(0), "input 'images': 0 pictures, expected 1 to 4"),
    "too many pictures": (BATCHED, many(5), "input 'images': 5 pictures, expected 1 to 4"),
    "different numbers of pictures": (
        BATCHED,
        changed(many, lambda it: shape(it, 1, [2, 2])),
        "input 'sizes': 2 pictures, the inputs before it have 3",
    ),
    "another shape of each picture": (
        BATCHED,
        changed(many, lambda it: shape(it, 0, [3, 3])),
        "input 'images': shape [3, 3], expected [-1, 2] with 1 to 4 first",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_the_text_says_what_was_expected(case: str) -> None:
    interface, request, text = BAD[case]
    with pytest.raises(Refused) as caught:
        read(interface, request)
    assert caught.value.status == "INVALID_ARGUMENT"
    assert text in caught.value.text
    assert caught.value.text.isprintable()


def test_a_forged_size_allocates_nothing() -> None:
    request = many(1)
    shape(request, 0, [2**40, 2**20])
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            read(BATCHED, request)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(inference.SEEDS), st.integers(0, 2**32))
def test_changed_bytes_are_accepted_where_they_fit_or_refused_in_words(seed: bytes, number: int) -> None:
    random = Random(number)  # noqa: S311 - changes of a test
    assert inference.one(seed)
    for _ in range(20):
        inference.one(inference.mutate(seed, random))


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 4), max_size=5),
    elements=st.lists(st.integers(0, 255), max_size=10),
)
def test_any_shape_with_any_number_of_elements_is_judged_the_same_way(
    sizes: list[int], elements: list[int]
) -> None:
    request = pb.ModelInferRequest(
        inputs=[
            given_input("images", "UINT8", (1, 2), uint_contents=elements),
            given_input("sizes", "INT64", (1, 2), int64_contents=[1, 2]),
        ]
    )
    request.inputs[0].shape[:] = sizes
    found = check(BATCHED, request.SerializeToString())
    assert (found is not None) == (sizes == [1, 2] and len(elements) == 2)
