"""A class for each cell of a grid over the picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from runtime.bundle.decoders import Semantic
from runtime.engine import Array, allocate
from runtime.findings import Findings, Segmentation
from runtime.vision.decoders import Context, decodes
from runtime.vision.decoders.finite import all_finite, not_numbers
from runtime.vision.decoders.masks import Coded, RunCoder
from runtime.vision.placement import Placement

# A result of so many runs is about 1 MiB on the wire; a real picture has a few thousand.
_MAX_RUNS = 200_000
_NONE = -1


@decodes(Semantic)
class SemanticDecoder:
    """float32 ``[1, C, H, W]``, ``[1, H, W, C]`` as ``layout`` says, or indices ``[1, H, W]``.

    Indices are int32, int64, or small integers that were brought to float32. An index that has no label is
    none. Cells whose middle lies in the padding of a letterbox are cut off.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the first output is not that.
    """

    def __init__(self, spec: Semantic, context: Context) -> None:
        self._labels = context.labels
        self._where = context.where
        self._spec = spec
        self._width, self._height = context.width, context.height
        output = context.outputs[0]
        channels = len(context.labels)
        shape = output.shape
        sizes = shape[1:3] if len(shape) == 3 or spec.layout == "nhwc" else shape[2:]
        found = shape[3:] if spec.layout == "nhwc" else shape[1:2]
        scored = len(shape) == 4 and found == (channels,) and output.dtype == "float32"
        height, width = sizes if len(sizes) == 2 else (None, None)
        if height is None or width is None or not (scored or len(shape) == 3):
            form = f"{channels}, H, W" if spec.layout == "nchw" else f"H, W, {channels}"
            raise context.expect("semantic", f"float32 [1, {form}] or class indices [1, H, W]")
        self._limit = _limit(context.threshold(spec.score_threshold), spec.activation)
        self._read: Callable[[Array], None]
        self._index = allocate("int32", (height, width))
        self._flags = allocate("bool", (height, width))
        self._coder = RunCoder(height * width, "int32")
        if not scored:
            self._read = self._indices
        elif channels == 1:
            self._read = self._one_channel
        elif spec.layout == "nhwc":
            self._read = self._channels_last
            self._wide_index = allocate("int64", (height, width))
        else:
            self._read = self._channels_first
            narrow = "uint8" if channels <= 256 else "uint16"
            self._best = allocate("float32", (height, width))
            self._narrow_index = allocate(narrow, (height, width))
            self._candidate = allocate(narrow, (height, width))

    def decode(self, outputs: Sequence[Array], place: Placement) -> Findings:
        """See ``Decoder``."""
        output = outputs[0][0]
        self._read(output)
        height, width = self._index.shape
        cell_x, cell_y = self._width / width, self._height / height
        x1, x2 = _picture(place.pad_x, place.scale_x, place.frame_width - place.crop_x, cell_x, width)
        y1, y2 = _picture(place.pad_y, place.scale_y, place.frame_height - place.crop_y, cell_y, height)
        coded = self._coder.code(self._index[y1:y2, x1:x2], most=_MAX_RUNS)
        right, bottom = x1 + coded.width * coded.step, y1 + coded.height * coded.step
        return Findings(
            segmentation=Segmentation(
                box=(
                    *place.to_source(x1 * cell_x, y1 * cell_y),
                    *place.to_source(right * cell_x, bottom * cell_y),
                ),
                width=coded.width,
                height=coded.height,
                runs=tuple(zip(coded.values, coded.lengths, strict=True)),
                shares=self._shares(coded),
            )
        )

    def _shares(self, coded: Coded) -> dict[str, float]:
        cells = coded.width * coded.height
        counts: dict[str, int] = {}
        for value, length in zip(coded.values, coded.lengths, strict=True):
            if value != _NONE:
                label = self._labels[value]
                counts[label] = counts.get(label, 0) + length
        return {label: count / cells for label, count in counts.items()}

    def _check(self, scores: Array) -> None:
        if not all_finite(scores):
            raise not_numbers("cells", where=self._where)

    def _indices(self, output: Array) -> None:
        if output.dtype == np.float32:
            self._check(output)
        np.copyto(self._index, output, casting="unsafe")
        # Looked for before the cast: what is wide enough to wrap around has no label either.
        np.less(output, 0, out=self._flags)
        np.copyto(self._index, _NONE, where=self._flags)
        np.greater_equal(output, len(self._labels), out=self._flags)
        np.copyto(self._index, _NONE, where=self._flags)

    def _one_channel(self, output: Array) -> None:
        self._check(output)
        scores = output.reshape(self._index.shape)
        np.less(scores, self._limit, out=self._index, casting="unsafe")
        # 1 where it is below: none is -1, the only label 0.
        np.negative(self._index, out=self._index)

    def _channels_last(self, output: Array) -> None:
        self._check(output)
        np.argmax(output, axis=2, out=self._wide_index)
        np.copyto(self._index, self._wide_index, casting="unsafe")

    def _channels_first(self, output: Array) -> None:
        """Channel by channel: NumPy's argmax over the first axis copies the whole array.

        Channels only grow, so that the index is the largest channel that was better than all before it: two
        passes that use SIMD, where copying under a mask does not.
        """
        best, index, candidate = self._best, self._narrow_index, self._candidate
        np.copyto(best, output[0])
        index.fill(0)
        for channel in range(1, len(output)):
            np.greater(output[channel], best, out=self._flags)
            np.maximum(output[channel], best, out=best)
            np.multiply(self._flags.view(np.uint8), index.dtype.type(channel), out=candidate)
            np.maximum(index, candidate, out=index)
        # The maximum hands NaN on. A class that is impossible (-inf) beside one that is not is no fault.
        self._check(best)
        np.copyto(self._index, index)


def _limit(threshold: float, activation: str) -> float:
    """What a score is compared with: sigmoid(x) >= t is x >= log(t / (1 - t))."""
    if activation == "none":
        return threshold
    if 0 < threshold < 1:
        return math.log(threshold / (1 - threshold))
    return -math.inf if threshold <= 0 else math.inf


def _picture(pad: float, scale: float, source: float, cell: float, count: int) -> tuple[int, int]:
    """The cells whose middle lies in the picture, at least one: first, one past last.

    Args:
        pad: tensor pixels before the picture; a picture in the middle has as many behind it.
        scale: tensor pixels a source pixel.
        source: pixels from the crop's edge to the picture's far edge.
        cell: tensor pixels a cell.
        count: cells.
    """
    end = min(pad + source * scale, count * cell - max(pad, 0.0) if pad > 0 else math.inf)
    first = min(max(math.ceil(pad / cell - 0.5), 0), count - 1)
    return first, min(max(math.ceil(end / cell - 0.5), first + 1), count)
