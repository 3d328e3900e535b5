"""1080p footage, made once a run: the rendered belt as a camera would send it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av

from examples.conveyor.render import Scene

FPS = 5


def write(path: Path, frames: int, *, encoder: str = "libx264") -> Path:
    """An MP4 of ``frames`` pictures at 5 a second."""
    scene = Scene(5, 1920, 1080, fps=FPS)
    with av.open(str(path), "w", format="mp4") as container:
        video = cast("av.VideoStream", container.add_stream(encoder, rate=Fraction(FPS)))
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10"}
        video.width, video.height, video.pix_fmt = 1920, 1080, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(scene.frame(index)[0], format="bgr24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path
