"""Decodes a tiny clip of each codec and looks at what came out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

CODECS = {"h264": "h264", "h265": "hevc"}
CLIPS = Path(__file__).parent / "clips"
# What `tests/selftest_clips.py` draws: a bright half that moves to the other side.
FRAMES, WIDTH, HEIGHT = 8, 64, 48
DARK, BRIGHT, TOLERANCE = 40, 200, 12


def run(_task: dict[str, Any]) -> dict[str, Any]:
    """What became of each codec: whether its pictures are right, how many, and how long one took."""
    av.logging.set_level(None)
    return {"av": av.__version__, "codecs": {name: _one(name) for name in CODECS}}


def _one(name: str) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        pictures = _decoded(name)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        return {"ok": False, "text": f"{type(error).__name__}: {error}"}
    took_ms = (time.perf_counter() - began) * 1e3
    wrong = [index for index, picture in enumerate(pictures) if not _is_right(picture, index)]
    if len(pictures) != FRAMES or wrong:
        text = f"{len(pictures)} of {FRAMES} pictures, {len(wrong)} of them wrong"
        return {"ok": False, "text": text}
    return {"ok": True, "text": f"{FRAMES} pictures in {took_ms:.1f} ms"}


def _decoded(name: str) -> list[VideoFrame]:
    context = av.CodecContext.create(CODECS[name], "r")
    assert isinstance(context, VideoCodecContext)  # noqa: S101 - both are codecs of video
    context.thread_count = 1
    packets = context.parse((CLIPS / f"{name}.bin").read_bytes()) + context.parse(None)
    return [picture for packet in [*packets, None] for picture in context.decode(packet)]


def _is_right(picture: VideoFrame, index: int) -> bool:
    """Whether the bright half is where it belongs: a decoder may also answer with noise, or with grey."""
    plane = picture.planes[0]
    luma = (
        np.frombuffer(memoryview(plane), np.uint8)
        .reshape(-1, plane.line_size)[:, : picture.width]
        .astype(np.float64)
    )
    if luma.shape != (HEIGHT, WIDTH):
        return False
    left, right = luma[:, : WIDTH // 2].mean(), luma[:, WIDTH // 2 :].mean()
    expected = (BRIGHT, DARK) if index < FRAMES // 2 else (DARK, BRIGHT)
    return bool(abs(left - expected[0]) < TOLERANCE and abs(right - expected[1]) < TOLERANCE)
