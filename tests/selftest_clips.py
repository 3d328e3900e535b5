"""Draws the clips that ``runtime/selftest/decode.py`` decodes: ``python -m tests.selftest_clips FOLDER``.

They are kept with the code, since a device needs no encoder: a few hundred bytes each.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from runtime.selftest.decode import BRIGHT, CODECS, DARK, FRAMES, HEIGHT, WIDTH

ENCODERS = {
    "h264": ("libx264", {"x264-params": "annexb=1"}),
    "h265": ("libx265", {"x265-params": "log-level=none:info=0"}),
}


def write(folder: Path) -> None:
    """One raw stream of each codec."""
    for name in CODECS:
        encoder, options = ENCODERS[name]
        context = av.CodecContext.create(encoder, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context.time_base, context.framerate = Fraction(1, 15), Fraction(15)
        context.options = {"crf": "30", "preset": "veryslow"} | options
        data = b""
        for index in range(FRAMES):
            planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            planes[:HEIGHT] = DARK
            half = slice(0, WIDTH // 2) if index < FRAMES // 2 else slice(WIDTH // 2, WIDTH)
            planes[:HEIGHT, half] = BRIGHT
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts = index
            data += b"".join(bytes(packet) for packet in context.encode(picture))
        data += b"".join(bytes(packet) for packet in context.encode(None))
        (folder / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
