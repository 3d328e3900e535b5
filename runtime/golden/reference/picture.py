"""From the planes of a frame to the model's tensor, the way that authors' own scripts go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.bundle.manifest import InputSpec, Preprocess
from runtime.errors import Code, EdgewardError
from runtime.source.frame import Frame
from runtime.vision.placement import Placement

Bytes = NDArray[np.uint8]
Array = NDArray[Any]
_SAMPLING = {"bilinear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
_INTEGERS = {"uint8": (0, 255), "int8": (-128, 127)}
# Kr and Kb of ITU-R BT.709.
_KR, _KB = 0.2126, 0.0722


def bgr(frame: Frame) -> Bytes:
    """The whole picture as 8-bit BGR, ``[H, W, 3]``.

    BT.601 by OpenCV's ``cvtColor``, limited range as ``COLOR_YUV2BGR_I420``, full range as
    ``COLOR_YCrCb2BGR``. It has no BT.709, which is computed here. A chroma sample counts for its 2x2 pixels.
    """
    picture = frame.picture
    height, width = picture.height, picture.width
    if picture.format == "bgr24":
        return _plane(frame, 0, height, width * 3).reshape(height, width, 3)
    if picture.format != "i420":
        raise ValueError(picture.format)
    luma = _plane(frame, 0, height, width)
    cb, cr = (_plane(frame, at, (height + 1) // 2, (width + 1) // 2) for at in (1, 2))
    if picture.matrix == "bt601" and not picture.full_range and not (width % 2 or height % 2):
        flat = np.concatenate([luma.reshape(-1), cb.reshape(-1), cr.reshape(-1)])
        return _bytes(cv2.cvtColor(flat.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420))
    cb, cr = (plane.repeat(2, 0).repeat(2, 1)[:height, :width] for plane in (cb, cr))
    if picture.matrix == "bt601" and picture.full_range:
        return _bytes(cv2.cvtColor(np.dstack([luma, cr, cb]), cv2.COLOR_YCrCb2BGR))
    return _computed(luma, cb, cr, full_range=picture.full_range, matrix=picture.matrix)


def _plane(frame: Frame, at: int, height: int, width: int) -> Bytes:
    stride = frame.strides[at]
    flat = np.asarray(memoryview(frame.planes[at]).cast("B"), np.uint8)
    rows = np.lib.stride_tricks.as_strided(flat, (height, width), (stride, 1), writeable=False)
    return np.ascontiguousarray(rows)


def _bytes(picture: Any) -> Bytes:
    return np.asarray(picture, np.uint8)


def _computed(luma: Bytes, cb: Bytes, cr: Bytes, *, full_range: bool, matrix: str) -> Bytes:
    """ITU-R BT.709 (or BT.601), section 3, on 0..255."""
    kr, kb = (_KR, _KB) if matrix == "bt709" else (0.299, 0.114)
    low, y_span, c_span = (0.0, 255.0, 255.0) if full_range else (16.0, 219.0, 224.0)
    y = (np.maximum(luma.astype(np.float64), low) - low) / y_span
    u, v = ((plane.astype(np.float64) - 128) / c_span for plane in (cb, cr))
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.rint(np.clip(np.dstack([blue, green, red]) * 255, 0, 255)).astype(np.uint8)


def tensor_size(pre: Preprocess, shape: Sequence[int], *, where: str) -> tuple[int, int]:
    """Width and height of the input in pixels.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST`` when the shape is no picture of that layout and order.
    """
    depth = 1 if pre.order == "gray" else 3
    channels, rows = (1, 2) if pre.layout == "nchw" else (3, 1)
    if len(shape) == 4 and shape[0] == 1 and shape[channels] == depth:
        return shape[rows + 1], shape[rows]
    what = f"the picture has the shape {list(shape)}, which is no {pre.layout} with order {pre.order}"
    remedy = "correct the input's shape, or preprocess.layout or order, in bundle.toml"
    raise EdgewardError(Code.BUNDLE_MANIFEST, what, where=where, remedy=remedy)


def fitted(picture: Bytes, pre: Preprocess, width: int, height: int) -> tuple[Array, Placement]:
    """The picture at the size of the tensor, float32 0..255 ``[H, W, channels]``, and where it lies in it."""
    full_height, full_width = picture.shape[:2]
    left = top = x = y = 0
    new_width, new_height = width, height
    if pre.fit == "crop":
        ratio = max(width / full_width, height / full_height)
        used_width = max(1, min(full_width, round(width / ratio)))
        used_height = max(1, min(full_height, round(height / ratio)))
        x, y = (full_width - used_width) // 2, (full_height - used_height) // 2
        picture = picture[y : y + used_height, x : x + used_width]
    elif pre.fit != "stretch":
        ratio = min(width / full_width, height / full_height)
        new_width = max(1, min(width, round(full_width * ratio)))
        new_height = max(1, min(height, round(full_height * ratio)))
        if pre.fit == "letterbox":
            left, top = (width - new_width) // 2, (height - new_height) // 2
    scale_x, scale_y = new_width / picture.shape[1], new_height / picture.shape[0]
    small = _bytes(cv2.resize(picture, (new_width, new_height), interpolation=_SAMPLING[pre.sampling]))
    if pre.order == "gray":
        small = _bytes(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))[..., None]
    elif pre.order == "rgb":
        small = _bytes(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    channels = small.shape[2]
    canvas = np.empty((height, width, channels), np.float32)
    canvas[:] = pre.pad[:channels]
    canvas[top : top + new_height, left : left + new_width] = small
    place = Placement(scale_x, scale_y, left, top, x, y, full_width, full_height)
    return canvas, place


def normalised(pixels: Array, pre: Preprocess, spec: InputSpec) -> Array:
    """The input tensor, ``[1, ...]``, in its layout and dtype."""
    channels = pixels.shape[2]
    mean, std = (np.asarray(three[:channels], np.float32) for three in (pre.mean, pre.std))
    values = (pixels * np.float32(pre.scale) - mean) / std
    if spec.dtype in _INTEGERS:
        if spec.quantisation is not None:
            values = values / np.float32(spec.quantisation.scale)
        zero_point = spec.quantisation.zero_point if spec.quantisation else 0
        values = np.clip(np.rint(values) + zero_point, *_INTEGERS[spec.dtype])
    laid_out = values.transpose(2, 0, 1) if pre.layout == "nchw" else values
    return np.ascontiguousarray(laid_out[None]).astype(spec.dtype)
