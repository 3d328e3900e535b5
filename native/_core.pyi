"""Types and reference of the kernels. Import them from `native`."""

from collections.abc import Sequence
from typing import Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

_Tensor = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8] | NDArray[np.int8]
_Triple = tuple[float, float, float]
_Boxes = tuple[NDArray[np.float32], NDArray[np.int32], int]

def available_simd() -> list[str]:
    """Kernel sets that this CPU can run, slowest first; "scalar" is always there."""

def simd() -> str:
    """The kernel set in use: "scalar", "sse4", "avx2", "avx512" or "neon"."""

def set_simd(name: str) -> None:
    """Take another kernel set, for the whole process.

    Calls of `Preprocess.run` that are under way finish with the set they began with.

    Args:
        name: One of `available_simd()`, or "auto" for the fastest of them.

    Raises:
        ValueError: This CPU or this build does not have it; the text lists what there is.
    """

class Preprocess:
    """A plan from one source geometry to one tensor: crop, scale, colour, normalise, lay out, in one pass.

    Sampling is bilinear with half-pixel centres, as `cv2.resize(..., INTER_LINEAR)` does, or, where asked
    for, averages areas as `INTER_AREA` does, but without rounding to bytes on the way; taps never leave the
    crop. Luma and chroma are each sampled at their own resolution and colour is converted at the size of the
    tensor. A chroma sample sits in the middle of the 2x2 pixels that it covers, also in the last column and
    row of an odd picture. Pixels are rounded to whole numbers of 0..255; all kernel sets give the same ones.

    A plan may be run from several threads at a time, each with its own `out`.
    """

    def __init__(
        self,
        *,
        format: str,  # noqa: A002 - what everybody calls it
        width: int,
        height: int,
        matrix: str = "bt601",
        full_range: bool = False,
        crop: tuple[int, int, int, int] | None = None,
        out_width: int,
        out_height: int,
        fit: str = "letterbox",
        sampling: str = "bilinear",
        pad: float | _Triple = 114.0,
        order: str = "rgb",
        mean: _Triple = (0.0, 0.0, 0.0),
        std: _Triple = (1.0, 1.0, 1.0),
        scale: float = 1.0,
        dtype: str = "float32",
        layout: str = "nchw",
        quant_scale: float = 1.0,
        quant_zero_point: int = 0,
    ) -> None:
        """Make the plan; all arguments by name.

        Args:
            format: Planes of the source: "i420" Y, U, V; "nv12" Y, UV; "bgr24" packed.
            width: Source picture, pixels, 1..16384; odd sizes have (width + 1) // 2 chroma samples.
            height: Source picture, pixels, 1..16384.
            matrix: Which luma weights the source was made with; not used for "bgr24".
            full_range: Y, U and V use 0..255 (JPEG) instead of 16..235 and 16..240.
            crop: x, y, width, height of the part to use, in source pixels; any integers inside the picture.
            out_width: Tensor, pixels, 1..16384.
            out_height: Tensor, pixels, 1..16384.
            fit: "letterbox" keeps the aspect ratio and centres, "letterbox_topleft" keeps it and leaves the
                padding to the right and below, "stretch" fills the tensor, "crop" fills it as well, with the
                largest centred part that has its aspect ratio.
            sampling: "bilinear" takes the two nearest pixels along each axis; "area" averages all that lie
                under an output pixel, along an axis that is made smaller. For scales below a half, where
                bilinear sampling leaves pixels out and fine patterns alias.
            pad: Colour of the padding, 0..255 before normalising, one or three in the tensor's channel order.
            order: Channel order of the tensor, "rgb" or "bgr"; "gray": one channel, the luma expanded to
                0..255, of "bgr24" its weighted sum (BT.601). `mean`, `std` and `pad` are then the first.
            mean: Per channel, in units of `pixel * scale`.
            std: Per channel, not 0. value = (pixel * scale - mean) / std, pixel clipped to 0..255.
            scale: Often 1 / 255.
            dtype: Element type of the tensor.
            layout: Order of its axes.
            quant_scale: Above 0; for "uint8" and "int8" only, whose elements are
                clamp(round(value / quant_scale) + quant_zero_point), halves rounded to even; each step in
                float32, as NumPy does it.
            quant_zero_point: Within the range of the dtype.

        Raises:
            ValueError: A value is unknown or out of range; the text says which, and what would be right.
        """

    def run(self, planes: Sequence[Buffer], strides: Sequence[int], out: _Tensor) -> None:
        """Write the whole tensor, padding included, from one picture. The GIL is not held meanwhile.

        Args:
            planes: 3 for "i420", 2 for "nv12", 1 for "bgr24"; anything with the buffer protocol and
                contiguous memory, a PyAV `VideoPlane` for one; each at least stride * rows bytes long.
            strides: Bytes from one row to the next, for each plane; at least a row of pixels.
            out: Writable C-contiguous array of the plan's dtype, `shape`, or `shape` without the leading 1:
                also an element of a batch, `batch[k : k + 1]` or `batch[k]`. Must not overlap the planes.

        Raises:
            ValueError: A count, length, stride, dtype or shape does not fit; nothing has been written.
            TypeError: An argument has no buffer protocol, or a stride is no integer.
        """

    def run_crops(
        self,
        planes: Sequence[Buffer],
        strides: Sequence[int],
        crops: Sequence[tuple[int, int, int, int]],
        out: _Tensor,
    ) -> list[tuple[float, float, float, float, float, float]]:
        """Write a tensor for each of several crops of one picture. The GIL is not held meanwhile.

        Tables for the 32 sizes of crop that came last are kept, so that tiles cost no more than the same
        pixels in plans of their own; a new size costs a few microseconds.

        Args:
            planes: As for `run`.
            strides: As for `run`.
            crops: x, y, width, height of each, in source pixels; clipped to the picture. Each is placed by
                the plan's `fit`. The plan's own crop is not used.
            out: Writable C-contiguous array of the plan's dtype, (n, *shape[1:]) with n >= len(crops). What
                lies behind the last crop is left as it is. Must not overlap the planes.

        Returns:
            For each crop scale_x, scale_y, pad_x, pad_y, crop_x, crop_y, as the plan's properties of these
            names are for its own crop.

        Raises:
            ValueError: As for `run`, or a crop has nothing inside the picture: the text names it; nothing has
                been written.
            TypeError: As for `run`, or a crop is not four integers.
        """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, channels, height, width) or (1, height, width, channels); 3 channels, or 1 for "gray"."""

    @property
    def dtype(self) -> str:
        """Element type, as NumPy names it."""

    # x_tensor = (x_source - crop_x) * scale_x + pad_x, in pixel-edge coordinates (0 is the left edge).
    @property
    def scale_x(self) -> float:
        """Tensor pixels per source pixel."""

    @property
    def scale_y(self) -> float:
        """Tensor pixels per source pixel."""

    @property
    def pad_x(self) -> float:
        """Tensor pixels left of the picture."""

    @property
    def pad_y(self) -> float:
        """Tensor pixels above the picture."""

    @property
    def crop_x(self) -> float:
        """Source pixels left of the crop; with fit "crop", of the part that is used."""

    @property
    def crop_y(self) -> float:
        """Source pixels above the crop; with fit "crop", above the part that is used."""

class _Limits(TypedDict, total=False):
    """What all decoders take beside their own arguments; all by name.

    score_threshold: 0..1; a score equal to it passes.
    iou_threshold: 0..1, else 0.45; of boxes that overlap by more, the best stays. 1: nothing is suppressed.
    class_agnostic: Boxes of different classes suppress each other as well; else they do not.
    max_candidates: Best by score that enter suppression, else 1000.
    max_detections: Best by score that leave it, else 300.
    scale_x ... crop_y: As of `Preprocess`, they lead back to source pixels; else 1 and 0.
    frame_width, frame_height: Boxes are clipped to frame_left..frame_width; those outside are left out.
    frame_left, frame_top: Where what is looked at begins, source pixels, else 0.
    """

    score_threshold: Required[float]
    iou_threshold: float
    class_agnostic: bool
    max_candidates: int
    max_detections: int
    scale_x: float
    scale_y: float
    pad_x: float
    pad_y: float
    crop_x: float
    crop_y: float
    frame_width: Required[float]
    frame_height: Required[float]
    frame_left: float
    frame_top: float

def decode_yolox(
    output: NDArray[np.float32],
    *,
    input_width: int,
    input_height: int,
    strides: Sequence[int] = (8, 16, 32),
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode the output head of YOLOX and suppress overlapping boxes, without the GIL.

    Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430. For the cell (column, row) of the
    grid of stride s: centre = (offset + cell) * s, size = exp(log size) * s, score = objectness * class
    score. A cell yields its best class only.

    `_Limits`, the results and the errors are the same for all decoders here.

    Args:
        output: float32 (rows, 5 + classes), or with a leading 1: x and y offset, logarithms of width and
            height, objectness, class scores; the last two after the sigmoid, 0..1.
        input_width: The model's input, pixels; divisible by every stride.
        input_height: The model's input, pixels; divisible by every stride.
        strides: Of the grids, in the order in which their rows follow one another.
        **limits: See `_Limits`.

    Returns:
        boxes: float32 (n, 6): x1, y1, x2, y2 in source pixels, score, class index; best score first.
        rows: int32 (n,): which row, or cell, of the outputs each box came from, counted from 0 through all
            strides.
        broken: how many rows passed the threshold, or could not be judged, and were not finite. A model that
            overflows (float16 is apt to) puts out NaN everywhere, which must not pass for "nothing seen": a
            count above 0 is a fault of the model.

    Raises:
        ValueError: Shape or dtype does not fit, or a number is out of range; the text says what is expected.
        TypeError: An output has no buffer protocol.
    """

def decode_yolov5(
    output: NDArray[np.float32],
    *,
    unit_x: float = 1.0,
    unit_y: float = 1.0,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode a YOLOv5 or YOLOv7 head that the graph has decoded; see `decode_yolox` for all that is not here.

    Args:
        output: float32 (rows, 5 + classes): centre, size, objectness, class scores; the last two 0..1.
        unit_x: Tensor pixels a unit of the boxes: 1 for pixels, the input's width for fractions of it.
        unit_y: The same for y.
        **limits: See `_Limits`.
    """

def decode_yolov5_heads(
    outputs: Sequence[NDArray[np.float32]],
    *,
    input_width: int,
    input_height: int,
    strides: Sequence[int] = (8, 16, 32),
    anchors: Sequence[Sequence[float]],
    channels_first: bool,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode raw YOLOv5 or YOLOv7 heads (Wang et al. 2022, arXiv:2207.02696); see `decode_yolox`.

    With s = sigmoid(output): centre = (2 s - 0.5 + cell) * stride, size = (2 s)^2 * anchor,
    score = s(objectness) * s(class).

    Args:
        outputs: One a stride, before the sigmoid: float32 (A * (5 + classes), H, W) where channels_first,
            else (A, H, W, 5 + classes). Rows are counted anchor by anchor, then line by line.
        input_width: The model's input, pixels; divisible by every stride.
        input_height: The model's input, pixels; divisible by every stride.
        strides: Of the grids, in the order of the outputs.
        anchors: For each stride width and height of each anchor in tensor pixels: [[10, 13, 16, 30], ...].
        channels_first: Which of the two layouts.
        **limits: See `_Limits`.
    """

def decode_yolov8(
    output: NDArray[np.float32],
    *,
    classes: int,
    channels_first: bool,
    unit_x: float = 1.0,
    unit_y: float = 1.0,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode a YOLOv8 or YOLO11 head (Ultralytics); see `decode_yolox` for all that is not here.

    Args:
        output: float32 (4 + classes + extra, rows) where channels_first, else (rows, 4 + classes + extra):
            centre, size, class scores 0..1, and extra values (keypoints, mask weights), which are not looked
            at: take them by `rows`.
        classes: How many; what follows them is extra.
        channels_first: Which of the two layouts.
        unit_x: Tensor pixels a unit of the boxes: 1 for pixels, the input's width for fractions of it.
        unit_y: The same for y.
        **limits: See `_Limits`.
    """

def decode_dfl(
    outputs: Sequence[NDArray[np.float32]],
    *,
    input_width: int,
    input_height: int,
    strides: Sequence[int],
    classes: int,
    reg_max: int,
    layout: str,
    cell_offset: float = 0.0,
    sigmoid: bool = False,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode a head with distances as distributions (Li et al. 2020, arXiv:2006.04388); see `decode_yolox`.

    A distance is the mean of softmax(reg_max + 1 bins), in strides, from (cell + cell_offset) * stride.

    Args:
        outputs: "rows": one, (N, classes + 4 * (reg_max + 1)); "split_rows": class scores (n, classes) of
            each stride, then distances (n, 4 * (reg_max + 1)) of each; "maps": for each stride distances
            (4 * (reg_max + 1), h, w), then class scores (classes, h, w). Left, top, right, bottom.
        input_width: The model's input, pixels; the cells cover it, also where a stride does not divide it.
        input_height: The same downwards.
        strides: Of the grids.
        classes: How many.
        reg_max: The largest distance, in strides.
        layout: "rows", "split_rows" or "maps".
        cell_offset: Where a cell's distances start: 0 its corner, 0.5 its middle.
        sigmoid: Class scores are logits.
        **limits: See `_Limits`.
    """

def decode_fastestdet(
    output: NDArray[np.float32],
    *,
    unit_x: float,
    unit_y: float,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode the head of FastestDet (github.com/dog-qiuqiu/FastestDet); see `decode_yolox`.

    score = objectness^0.6 * class^0.4, centre = (cell + tanh(x, y)) / (W, H), size = sigmoid(w, h).

    Args:
        output: float32 (5 + classes, H, W): objectness 0..1, raw x, y, w, h, class scores 0..1.
        unit_x: Width of the input, pixels.
        unit_y: Height of the input, pixels.
        **limits: See `_Limits`.
    """

def decode_ssd(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    priors: NDArray[np.float32],
    *,
    background: bool = True,
    activation: str = "sigmoid",
    order: str = "yxhw",
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0),
    unit_x: float,
    unit_y: float,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode an SSD head (Liu et al. 2016, arXiv:1512.02325); see `decode_yolox` for all that is not here.

    centre = offset / scale * prior size + prior centre, size = exp(offset / scale) * prior size.

    Args:
        boxes: float32 (N, 4), offsets from the priors.
        scores: float32 (N, classes), or (N, 1 + classes) with background.
        priors: float32 (N, 4): centre y, centre x, height, width as fractions of the input.
        background: The first score of a row is that of nothing.
        activation: What scores still need: "none", "sigmoid" or "softmax" (over the background, too).
        order: Of the offsets, "yxhw" or "xywh".
        scales: They divide the offsets: y, x, height, width.
        unit_x: Width of the input, pixels.
        unit_y: Height of the input, pixels.
        **limits: See `_Limits`.
    """

def decode_corners(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    background: bool = False,
    unit_x: float = 1.0,
    unit_y: float = 1.0,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Judge boxes that are given as corners, by their class scores; see `decode_yolox`.

    Args:
        boxes: float32 (N, 4): x1, y1, x2, y2.
        scores: float32 (N, classes), or (N, 1 + classes) with background; 0..1.
        background: The first score of a row is that of nothing.
        unit_x: Tensor pixels a unit of the boxes: 1 for pixels, the input's width for fractions of it.
        unit_y: The same for y.
        **limits: See `_Limits`.
    """

def decode_rows(
    output: NDArray[np.float32],
    *,
    unit_x: float = 1.0,
    unit_y: float = 1.0,
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Take rows that are ready, as YOLOv10 ends in (Wang et al. 2024, arXiv:2405.14458); see `decode_yolox`.

    A class index that is no number is counted as broken; one that the labels do not have is the caller's.

    Args:
        output: float32 (N, 6): x1, y1, x2, y2, score, class index.
        unit_x: Tensor pixels a unit of the boxes: 1 for pixels, the input's width for fractions of it.
        unit_y: The same for y.
        **limits: See `_Limits`.
    """

def decode_yunet(
    outputs: Sequence[NDArray[np.float32]],
    *,
    input_width: int,
    input_height: int,
    strides: Sequence[int] = (8, 16, 32),
    **limits: Unpack[_Limits],
) -> _Boxes:
    """Decode the head of YuNet (Wu et al. 2023, doi:10.1007/s11633-023-1423-y); see `decode_yolox`.

    score = sqrt(class * objectness), each held to 0..1; centre = (cell + offset) * stride,
    size = exp(log size) * stride. The class index is 0.

    Args:
        outputs: Class scores (n, 1) of each stride, objectness (n, 1) of each, boxes (n, 4) of each. What
            follows (landmarks) is not looked at: take it by `rows`.
        input_width: The model's input, pixels; the cells cover it, also where a stride does not divide it.
        input_height: The same downwards.
        strides: Of the grids.
        **limits: See `_Limits`.
    """

def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
    """Find the best few of many scores, without the GIL.

    Args:
        scores: float32 (n,), or with a leading 1.
        k: How many, 1 or more; with fewer scores there are fewer.

    Returns:
        indices: int32 (k,), best score first, equal scores by index.
        scores: float32 (k,), theirs.
        broken: how many scores were not finite; they are left out.

    Raises:
        ValueError: Shape, dtype or k does not fit.
        TypeError: `scores` has no buffer protocol.
    """

def widen_halves(source: NDArray[np.float16] | NDArray[np.uint16], target: NDArray[np.float32]) -> None:
    """Write each half of `source` as the same number in `target`, without the GIL.

    Args:
        source: float16, or uint16 with the bits of such; C-contiguous.
        target: Of the same shape, writable, memory of its own.

    Raises:
        ValueError: Shape, dtype or layout does not fit; nothing is written then.
        TypeError: One of them has no buffer protocol.
    """
