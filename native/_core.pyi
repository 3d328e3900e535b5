"""Types and reference of the kernels. Import them from `native`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

_Tensor = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8] | NDArray[np.int8]
_Triple = tuple[float, float, float]

def available_simd() -> list[str]:
    """Kernel sets that this CPU can run, slowest first; "scalar" is always there."""

def simd() -> str:
    """The kernel set in use: "scalar", "sse4", "avx2" or "neon"."""

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

    Sampling is bilinear with half-pixel centres, as `cv2.resize(..., INTER_LINEAR)` does, but without
    rounding to bytes on the way; taps never leave the crop. Luma and chroma are each sampled at their own
    resolution and colour is converted at the size of the tensor. A chroma sample sits in the middle of
    the 2x2 pixels that it covers, also in the last column and row of an odd picture.

    A plan is immutable and may be run from several threads at a time, each with its own `out`.
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
                padding to the right and below, "stretch" fills the tensor.
            pad: Colour of the padding, 0..255 before normalising, one or three in the tensor's channel order.
            order: Channel order of the tensor.
            mean: Per channel, in units of `pixel * scale`.
            std: Per channel, not 0. value = (pixel * scale - mean) / std, pixel clipped to 0..255.
            scale: Often 1 / 255.
            dtype: Element type of the tensor.
            layout: Order of its axes.
            quant_scale: Above 0; for "uint8" and "int8" only, whose elements are
                clamp(round(value / quant_scale) + quant_zero_point), halves rounded to even.
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
            out: Writable C-contiguous array of the plan's dtype, `shape`, or `shape` without the leading 1.
                Must not overlap the planes.

        Raises:
            ValueError: A count, length, stride, dtype or shape does not fit; nothing has been written.
            TypeError: An argument has no buffer protocol, or a stride is no integer.
        """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, 3, height, width) or (1, height, width, 3)."""

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
        """Source pixels left of the crop."""

    @property
    def crop_y(self) -> float:
        """Source pixels above the crop."""

def decode_yolox(
    output: NDArray[np.float32],
    *,
    input_width: int,
    input_height: int,
    strides: Sequence[int] = (8, 16, 32),
    score_threshold: float,
    iou_threshold: float = 0.45,
    class_agnostic: bool = False,
    max_candidates: int = 1000,
    max_detections: int = 300,
    scale_x: float = 1.0,
    scale_y: float = 1.0,
    pad_x: float = 0.0,
    pad_y: float = 0.0,
    crop_x: float = 0.0,
    crop_y: float = 0.0,
    frame_width: float,
    frame_height: float,
) -> NDArray[np.float32]:
    """Decode the output head of YOLOX and suppress overlapping boxes, without the GIL.

    Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430. For the cell (column, row) of the
    grid of stride s: centre = (offset + cell) * s, size = exp(log size) * s, score = objectness * class
    score. A cell yields its best class only. Rows that are not finite yield nothing; where that should
    raise an alarm, use `decode_yolox_counted`.

    Args:
        output: float32 (rows, 5 + classes), or with a leading 1: x and y offset, logarithms of width and
            height, objectness, class scores; the last two after the sigmoid, 0..1.
        input_width: The model's input, pixels; divisible by every stride.
        input_height: The model's input, pixels; divisible by every stride.
        strides: Of the grids, in the order in which their rows follow one another.
        score_threshold: 0..1; a score equal to it passes.
        iou_threshold: 0..1; of boxes that overlap by more, the best stays.
        class_agnostic: Boxes of different classes suppress each other as well.
        max_candidates: Best by score that enter suppression.
        max_detections: Best by score that leave it.
        scale_x: As `Preprocess.scale_x`; likewise the next five, which lead back to source pixels.
        scale_y: See `Preprocess`.
        pad_x: See `Preprocess`.
        pad_y: See `Preprocess`.
        crop_x: See `Preprocess`.
        crop_y: See `Preprocess`.
        frame_width: Boxes are clipped to 0..frame_width; those wholly outside are left out.
        frame_height: The same for height.

    Returns:
        float32 (detections, 6): x1, y1, x2, y2 in source pixels, score, class index; best score first.

    Raises:
        ValueError: Shape or dtype does not fit, or a number is out of range; the text says what is expected.
        TypeError: `output` has no buffer protocol.
    """

def decode_yolox_counted(
    output: NDArray[np.float32],
    *,
    input_width: int,
    input_height: int,
    strides: Sequence[int] = (8, 16, 32),
    score_threshold: float,
    iou_threshold: float = 0.45,
    class_agnostic: bool = False,
    max_candidates: int = 1000,
    max_detections: int = 300,
    scale_x: float = 1.0,
    scale_y: float = 1.0,
    pad_x: float = 0.0,
    pad_y: float = 0.0,
    crop_x: float = 0.0,
    crop_y: float = 0.0,
    frame_width: float,
    frame_height: float,
) -> tuple[NDArray[np.float32], int]:
    """Do as `decode_yolox`, and tell how many rows were left out since they were not finite.

    A model that overflows (float16 is apt to) puts out NaN everywhere, which must not pass for "nothing
    seen": a count above 0 is a fault of the model. Only rows whose objectness passes the threshold, or is
    NaN, are looked at whole and so counted.
    """
