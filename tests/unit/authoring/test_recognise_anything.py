"""Whatever a model gives, there is a guess that says why, and it names outputs that are there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.authoring.guesses import Facts
from runtime.authoring.model_file import Output
from runtime.authoring.recognise import recognise

pytestmark = pytest.mark.unit

# Sizes that decoders look for, and none at all: a model may find nothing in noise.
SIZES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 17, 21, 32, 36, 56, 63, 64, 84])
NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=True)
# Of heads for a picture of 64x48: with these recognisers go on to look at the values.
TELLING = [
    *(
        (1, 0, 6),
        (1, 20, 6),
        (0, 7),
        (1, 63, 8),
        (1, 189, 8),
        (1, 8, 63),
        (1, 56, 63),
        (1, 36, 63),
        (1, 5, 63),
    ),
    *((1, 64, 37), (1, 64, 33), (1, 7, 6, 8), (1, 24, 6, 8), (1, 3, 6, 8, 8), (1, 21, 48, 64), (1, 48, 64)),
    *((1, 1, 17, 3), (1, 6, 56), (1, 128), (1, 1000, 1, 1), (1, 1), (1, 300, 4), (1, 300, 2), (1, 0, 4)),
    *((1, 10, 4), (1, 10), (1,), (1, 48, 1), (1, 12, 1), (1, 3, 1), (1, 32, 32, 32), (1, 0), (0,)),
]


@st.composite
def outputs(draw: st.DrawFn) -> tuple[Output, ...]:
    found = []
    for at in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3, 4, 6, 8, 12]))):
        shape = draw(st.one_of(st.sampled_from(TELLING), st.lists(SIZES, max_size=4).map(tuple)))
        if int(np.prod(shape)) > 40_000:
            shape = shape[:2]
        values = draw(arrays.arrays(np.float32, shape, elements=NUMBERS, fill=NUMBERS))
        found.append(Output(at, f"output_{at}", values))
    return tuple(found)


@given(outputs(), st.integers(0, 90), st.dictionaries(st.sampled_from(["kpt_shape", "producer"]), st.text()))
def test_there_is_always_a_guess(found: tuple[Output, ...], labels: int, notes: dict[str, str]) -> None:
    guess = recognise(Facts(found, 64, 48, notes, labels))
    assert guess.reason
    assert len(set(guess.outputs)) == len(guess.outputs)
    assert set(guess.outputs) <= set(range(len(found)))
    assert guess.classes is None or guess.classes >= 0
    assert guess.classes != 0 or type(guess.decoder).__name__ in {"Tensors", "Embedding"}
