"""The C++ kernels: fused preprocessing, and the decoding of detector outputs.

Everything here takes memory through the buffer protocol, checks every length before it reads, and drops
the GIL while it works. Which instruction set is used is decided at run time; `simd()` tells.
"""

from native._core import (
    Preprocess,
    available_simd,
    decode_yolox,
    decode_yolox_counted,
    set_simd,
    simd,
)

__all__ = ["Preprocess", "available_simd", "decode_yolox", "decode_yolox_counted", "set_simd", "simd"]
