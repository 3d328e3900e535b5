"""A loaded model that answers requests between the frames of its pipeline."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from runtime import batching
from runtime.engine import Array, guarded
from runtime.errors import Code
from runtime.model import Model
from runtime.serve.interface import interface_of
from runtime.serve.request import Inputs

Work = Generator[None, None, list[Array]]
"""Runs the model once a step; its value are the outputs."""


class ServedModel:
    """One model. ``answer`` is for the inference thread alone; ``interface`` for whoever asks.

    It runs on the very buffers that the pipeline keeps: no memory of the engine's is taken for it, and none
    more for a larger request. That disturbs no stream. Every input but the constants is written anew before
    each frame, constants are not offered here, and of a frame's outputs nothing is read once its result
    stands.

    Args:
        model: loaded.
        sizes: the numbers of pictures that it is bound for.
        max_batch: pictures of one request at most.
    """

    def __init__(self, model: Model, sizes: Sequence[int], *, max_batch: int) -> None:
        self.interface = interface_of(model, max_batch=max_batch)
        self._model = model
        self._sizes = tuple(sizes)

    def answer(self, inputs: Inputs) -> Work:
        """The outputs that ``inputs`` names, in their order, after as many steps as it takes.

        Raises:
            EdgewardError: ``MODEL_RUN``.
        """
        parts: list[list[Array]] = []
        done = 0
        for size in batching.portions(inputs.batch, self._sizes):
            parts.append(self._run(inputs, done, size))
            done += size
            if done < inputs.batch:
                yield
        # Where the model decides how long an output is, that of one picture need not fit the next one's.
        with guarded(Code.MODEL_RUN, where=self.interface.name):
            return [_joined([part[at] for part in parts]) for at in range(len(inputs.outputs))]

    def _run(self, inputs: Inputs, start: int, size: int) -> list[Array]:
        interface = self.interface
        with guarded(Code.MODEL_RUN, where=interface.name):
            binding = self._model.engine.bind(size)
            for at, tensor, array in zip(interface.at, interface.inputs, inputs.arrays, strict=True):
                np.copyto(binding.inputs[at], array[start : start + size] if tensor.batched else array)
            binding.run()
            return [np.array(binding.outputs[at]) for at in inputs.outputs]


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
