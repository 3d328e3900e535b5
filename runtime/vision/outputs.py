"""What decoders read: the outputs of one picture of a batch, as float32 where they came in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import native
from runtime.engine import Array, TensorInfo, allocate
from runtime.vision.decoders import Output

_AS_THEY_ARE = ("float32", "int32", "int64")


class Outputs:
    """The outputs of one binding, picture by picture.

    float32, int32 and int64 are handed on as views of the engine's buffers. Everything else is brought to
    float32 in kept buffers: quantised uint8 and int8 as ``(q - zero_point) * scale``, the rest as it is.
    Nothing is allocated after construction but for outputs whose size the model decides.

    Args:
        arrays: ``Binding.outputs``; those whose size the model decides are empty until it has run.
        infos: ``Engine.outputs``, in the same order.
        batch: pictures in the binding, or None: the largest leading size that the model leaves open.
    """

    def __init__(
        self, arrays: Sequence[Array], infos: Sequence[TensorInfo], batch: int | None = None
    ) -> None:
        if len(arrays) != len(infos):
            raise ValueError(f"{len(arrays)} output buffers for {len(infos)} outputs")
        self._arrays = arrays
        self.batch = _batch(arrays, infos) if batch is None else batch
        self._outputs = [_Output(info, array, self.batch) for array, info in zip(arrays, infos, strict=True)]

    def describe(self) -> tuple[Output, ...]:
        """Name, dtype and shape of each as ``of`` gives them; a size that the model decides is None."""
        return tuple(output.described for output in self._outputs)

    def of(self, item: int) -> Sequence[Array]:
        """The outputs of picture ``item``, each with a leading dimension of 1; good until the next call.

        Raises:
            ValueError: there is no such picture in the batch, or the model gave an output another number of
                dimensions than it has.
        """
        if not 0 <= item < self.batch:
            raise ValueError(f"picture {item} of a batch of {self.batch}")
        # Not cached as a list of lists: an output whose size the model decides is another array each time.
        return [output.of(array, item) for output, array in zip(self._outputs, self._arrays, strict=True)]


def _batch(arrays: Sequence[Array], infos: Sequence[TensorInfo]) -> int:
    sizes = [
        array.shape[0]
        for array, info in zip(arrays, infos, strict=True)
        if array.size and info.shape and not isinstance(info.shape[0], int)
    ]
    return max(sizes, default=1)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An array of the engine's, one view a picture, and where its elements are converted to."""

    array: Array
    views: tuple[Array, ...]
    converted: Array | None


class _Output:
    """One output: what its leading dimension means, and how its elements become float32."""

    def __init__(self, info: TensorInfo, array: Array, batch: int) -> None:
        self._info = info
        self._batch = batch
        self._batched = _is_batched(info, array, batch)
        self._convert = None if info.dtype in _AS_THEY_ARE else _conversion(info)
        # An array that is empty before the first run is one whose size the model decides.
        self._kept = self._keep(array, None) if array.size else None
        dtype = info.dtype if self._convert is None else "float32"
        open_shape = tuple(size if isinstance(size, int) else None for size in info.shape)
        shape: tuple[int | None, ...] = array.shape if array.size else open_shape
        self.described = Output(info.name, dtype, (1, *(shape[1:] if self._batched else shape)))

    def of(self, array: Array, item: int) -> Array:
        """The output of picture ``item`` in ``array``; see ``Outputs.of``."""
        kept = self._kept
        if kept is None or kept.array is not array:
            self._check(array)
            kept = self._kept = self._keep(array, kept)
        # One picture's worth in a batch of several, such as anchors that the graph puts out, is everybody's.
        view = kept.views[item] if len(kept.views) > 1 else kept.views[0]
        if self._convert is None or kept.converted is None:
            return view
        self._convert(view, kept.converted)
        return kept.converted

    def _keep(self, array: Array, before: _Kept | None) -> _Kept:
        views = (
            tuple(array[at : at + 1] for at in range(len(array))) if self._batched else (array[np.newaxis],)
        )
        converted = before.converted if before is not None else None
        if self._convert is not None and (converted is None or converted.shape != views[0].shape):
            converted = allocate("float32", views[0].shape)
        return _Kept(array, views, converted)

    def _check(self, array: Array) -> None:
        """What the model has decided on must be what decoders were built for."""
        wanted = self._info.shape
        if array.ndim != len(wanted) or (self._batched and len(array) not in {1, self._batch}):
            raise ValueError(
                f"the output {self._info.name!r} came with the shape {list(array.shape)}, "
                f"not {list(wanted)} for {self._batch} pictures"
            )


def _is_batched(info: TensorInfo, array: Array, batch: int) -> bool:
    """Whether the leading dimension counts pictures; else the output is one for all and gets one."""
    if not info.shape:
        return False
    leading = info.shape[0]
    if array.size:
        return array.shape[0] in {1, batch}
    if isinstance(leading, int):
        return leading in {1, batch}
    # ["n", 7]: the model decides on the rows of one picture; ["batch", "n", 6]: on those of each.
    return any(not isinstance(size, int) for size in info.shape[1:])


def _conversion(info: TensorInfo) -> Callable[[Array, Array], None]:
    quantisation = info.quantisation
    if quantisation is None:
        return _widen if info.dtype == "float16" else _cast
    scale = np.float32(quantisation.scale)
    zero_point = np.float32(quantisation.zero_point)

    def dequantise(source: Array, target: Array) -> None:
        np.copyto(target, source)
        # The difference is exact in float32, so that this is what (q - zero_point) * scale is in integers.
        np.subtract(target, zero_point, out=target)
        np.multiply(target, scale, out=target)

    return dequantise


def _widen(source: Array, target: Array) -> None:
    # NumPy takes ten times as long. An engine may give memory of its own, laid out as it likes.
    if source.dtype == np.float16 and source.flags.c_contiguous and source.flags.aligned:
        native.widen_halves(source, target)
    else:
        _cast(source, target)


def _cast(source: Array, target: Array) -> None:
    np.copyto(target, source, casting="unsafe")
