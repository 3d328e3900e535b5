"""What goes into a model beside the picture: constants, the picture's size, and its own state.

A state belongs to a stream: streams that share a model must not see each other's past, and a camera that
was opened again has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.bundle.manifest import InputSpec, Variant
from runtime.engine import Array, Binding
from runtime.vision.placement import Placement


@dataclass(slots=True)
class _State:
    """One stateful input: its buffer, which output has its next value, and each stream's last value."""

    source: int
    target: Array
    first: Array
    kept: dict[str, tuple[int, Array]]


class Feeds:
    """Fills the inputs of a binding that are not the picture.

    Args:
        variant: tells what each input is fed with.
        binding: its buffers; constants are written once, here.
    """

    def __init__(self, variant: Variant, binding: Binding) -> None:
        self._states: list[_State] = []
        self._sizes: list[Array] = []
        self._scales: list[Array] = []
        # Read when it has run: one whose size the engine finds out by running is another array each time.
        self._outputs = binding.outputs
        outputs = [spec.name for spec in variant.outputs]
        for spec, buffer in zip(variant.inputs, binding.inputs, strict=True):
            if spec.feed == "value":
                buffer[...] = _initial(spec, buffer)
            elif spec.feed == "state":
                first = _initial(spec, buffer)
                self._states.append(_State(outputs.index(spec.from_output), buffer, first, {}))
            elif spec.feed == "picture_size":
                self._sizes.append(buffer)
            elif spec.feed == "picture_scale":
                self._scales.append(buffer)

    @property
    def stateful(self) -> bool:
        """Whether the model remembers what it saw in a stream before."""
        return bool(self._states)

    @property
    def one_by_one(self) -> bool:
        """Whether an input belongs to one picture, so that pictures cannot share an inference."""
        return bool(self._states or self._sizes or self._scales)

    def before(self, stream: str, session: int, place: Placement, size: tuple[int, int]) -> None:
        """Fill the inputs for one picture of a stream, or for a part of one.

        Args:
            stream: whose past is meant.
            session: counts its connections.
            place: where the picture lies in the tensor.
            size: height and width of the picture or the part, source pixels.
        """
        for buffer in self._sizes:
            buffer.reshape(-1)[:] = size
        for buffer in self._scales:
            buffer.reshape(-1)[:] = place.scale_y, place.scale_x
        for state in self._states:
            known = state.kept.get(stream)
            np.copyto(state.target, state.first if known is None or known[0] != session else known[1])

    def after(self, stream: str, session: int) -> None:
        """Keep what came out for the stream's next picture."""
        for state in self._states:
            known, source = state.kept.get(stream), self._outputs[state.source]
            if known is None:
                state.kept[stream] = (session, source.copy())
            else:
                np.copyto(known[1], source)
                state.kept[stream] = (session, known[1])

    def forget(self, stream: str) -> None:
        """Begin anew with the stream's next picture: what came out was not a state to go on from."""
        for state in self._states:
            state.kept.pop(stream, None)


def _initial(spec: InputSpec, buffer: Array) -> Array:
    numbers = np.asarray(spec.value or (0.0,), dtype=np.float64)
    full = np.broadcast_to(numbers, buffer.size) if numbers.size == 1 else numbers
    return full.reshape(buffer.shape).astype(buffer.dtype)
