"""The C++ kernels: fused preprocessing, and the decoding of model outputs.

Everything here takes memory through the buffer protocol, checks every length before it reads, and drops
the GIL while it works. Which instruction set is used is decided at run time; `simd()` tells.
"""

from native._core import (
    Preprocess,
    available_simd,
    decode_corners,
    decode_dfl,
    decode_fastestdet,
    decode_rows,
    decode_ssd,
    decode_yolov5,
    decode_yolov5_heads,
    decode_yolov8,
    decode_yolox,
    decode_yunet,
    set_simd,
    simd,
    top_k,
    widen_halves,
)

__all__ = [
    "Preprocess",
    "available_simd",
    "decode_corners",
    "decode_dfl",
    "decode_fastestdet",
    "decode_rows",
    "decode_ssd",
    "decode_yolov5",
    "decode_yolov5_heads",
    "decode_yolov8",
    "decode_yolox",
    "decode_yunet",
    "set_simd",
    "simd",
    "top_k",
    "widen_halves",
]
