"""Numbers of a manifest that would exhaust memory or become others on the device are refused beforehand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from runtime.bundle.check import problems
from runtime.bundle.check_model import MAX_ELEMENTS
from runtime.bundle.manifest import Manifest
from runtime.bundle.strict import Mismatch, convert

from .test_check_model import (
    GOOD,
    OUTPUT,
    PICTURE,
    STATE_OUT,
    THRESHOLD,
    found,
    inputs,
    manifest,
    postprocess,
)

pytestmark = pytest.mark.unit

MANY = [{"name": f"y{at}", "dtype": "uint8", "shape": [1024, 1024, 64]} for at in range(5)]

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "a picture of terabytes": (
        manifest(inputs(PICTURE | {"shape": [1, 3, 1 << 20, 1 << 20]}) | {"dimensions": {}}),
        "variants[0].inputs[0].shape",
        "with [1, 3, 1048576, 1048576] the tensors have 3298534883328 elements, over 268435456",
    ),
    "a picture whose dimensions say so": (
        manifest({"dimensions": {"height": 1 << 20, "width": 1 << 20}}),
        "variants[0].inputs[0].shape",
        "over 268435456 a picture",
    ),
    "an output of terabytes": (
        manifest({"outputs": [OUTPUT | {"shape": [1, 1 << 20, 1 << 20]}, STATE_OUT]}),
        "variants[0].outputs[0].shape",
        "over 268435456 a picture",
    ),
    "outputs that are too much together": (
        manifest({"outputs": [OUTPUT, STATE_OUT, *MANY]}),
        "variants[0].outputs[5].shape",
        "over 268435456 a picture",
    ),
    "a side that no picture has": (
        manifest({"dimensions": {"height": 8, "width": 16385}}),
        "variants[0].inputs[0].shape",
        "has a side of 16385 pixels",
    ),
    "a scale that is infinite in float32": (
        manifest(preprocess={"scale": 1e300}),
        "preprocess.scale",
        "is beyond float32",
    ),
    "a mean that is infinite in float32": (
        manifest(preprocess={"mean": [0, 1e39, 0]}),
        "preprocess.mean",
        "beyond float32",
    ),
    "a divisor that is zero in float32": (
        manifest(preprocess={"std": [1, 1, 1e-50]}),
        "preprocess.std",
        "beyond float32",
    ),
    "a quantisation that is zero in float32": (
        manifest({"outputs": [OUTPUT | {"quantisation": {"scale": 1e-60}}, STATE_OUT]}),
        "variants[0].outputs[0].quantisation.scale",
        "is beyond float32",
    ),
    "an anchor that is infinite in float32": (
        postprocess("yolov5", anchors=[[10, 13], [1e300, 2], [1, 2]]),
        "postprocess.anchors",
        "beyond float32",
    ),
    "scales that are zero in float32": (
        postprocess("ssd", priors="priors.bin", scales=[1e-60, 10, 5, 5]),
        "postprocess.scales",
        "beyond float32",
    ),
    "a value that is infinite in float32": (
        manifest(inputs(THRESHOLD | {"dtype": "float32", "value": [1e300]})),
        "variants[0].inputs[2].value",
        "1e+300 is no float32",
    ),
    "an option that steers a terminal": (
        postprocess("plugin", name="x", options={"\x1b[2J": 1}),
        "postprocess.options",
        "a name that is not printable",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_model_s_part_is_refused_that_has(kind: str) -> None:
    document, key, what = CASES[kind]
    first = found(document)[0]
    assert first[0] == key
    assert what in first[1]
    assert first[2], "no remedy"


def test_tensors_that_just_fit_are_good() -> None:
    side = {"dimensions": {"height": 8, "width": 16384}}
    assert found(manifest(side)) == []
    rest = MAX_ELEMENTS - 3 * 8 * 16384 - 4 - 1 - 2 - 2 - 6 - 4
    big = [{"name": "y", "dtype": "float32", "shape": [1 << 10, (rest >> 10)]}]
    assert found(manifest(side | {"outputs": [OUTPUT, STATE_OUT, *big]})) == []


def test_an_option_of_a_plug_in_may_be_any_finite_number() -> None:
    document = GOOD["a plug-in for any task"] | {
        "postprocess": {"decoder": "plugin", "name": "x", "options": {"a": 1e300, "b": 1e-300}}
    }
    assert list(problems(msgspec.convert(document, Manifest))) == []


@pytest.mark.parametrize("strides", [[8, 10**12], [8, 16385]])
def test_a_stride_that_no_picture_has_is_refused(strides: list[int]) -> None:
    with pytest.raises(Mismatch, match="expected int <= 16384") as caught:
        convert(postprocess("dfl", strides=strides), Manifest)
    assert caught.value.key == "postprocess.strides[1]"


@pytest.mark.parametrize(
    "number", [1 << 63, -(1 << 63) - 1, int("f" * 5000, 16)], ids=["just", "negative", "huge"]
)
def test_a_whole_number_of_more_than_64_bits_is_refused_wherever_it_stands(number: int) -> None:
    for document, key in (
        (manifest(release_counter=number), "release_counter"),
        (manifest(inputs(PICTURE | {"shape": [1, 3, number, 8]})), "variants[0].inputs[0].shape[2]"),
        (manifest({"dimensions": {"height": number}}), "variants[0].dimensions.height"),
        (manifest(postprocess={"decoder": number}), "postprocess.decoder"),
        (postprocess("plugin", name="x", options={"a": number}), "postprocess.options.a"),
    ):
        with pytest.raises(Mismatch, match="more than 64 bits") as caught:
            convert(document, Manifest)
        assert caught.value.key == key
