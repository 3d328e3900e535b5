"""1080p footage for the benchmark: the rendered belt, encoded as cameras do, kept between runs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np

from bench.preprocess import HEIGHT, WIDTH
from examples.conveyor.render import Scene
from runtime.engine import Array

FRAMES, FPS = 150, 15
BENCH_FRAMES = 75  # of each round: starting the processes takes as long as looking at them
CODECS = {"h264": "libx264", "h265": "libx265"}


def make(folder: Path) -> dict[str, Path]:
    """The file of each codec; rendered and encoded when it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {codec: folder / f"belt-1080p-{FRAMES}.{codec}.mp4" for codec in CODECS}
    missing = {codec: path for codec, path in files.items() if not path.exists()}
    if missing:
        scene = Scene(77, WIDTH, HEIGHT, fps=FPS)
        pictures = [scene.frame(index)[0] for index in range(FRAMES)]
        for codec, path in missing.items():
            part = path.with_suffix(".part")
            encode(part, CODECS[codec], pictures, FPS)
            part.rename(path)
    return files


def i420() -> Array:
    """One picture as I420, uint8 ``[HEIGHT * 3 / 2, WIDTH]``."""
    bgr = Scene(77, WIDTH, HEIGHT, fps=FPS).frame(30)[0]
    return np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420))


def encode(path: Path, encoder: str, pictures: list[Array], fps: int) -> None:
    """Write BGR pictures ``[H, W, 3]`` as an MP4 file; ``encoder`` is one of libav."""
    options = {"preset": "veryfast", "crf": "24", "tune": "zerolatency", "x265-params": "log-level=none"}
    with av.open(str(path), "w", format="mp4") as container:
        video = cast("av.VideoStream", container.add_stream(encoder, rate=Fraction(fps), options=options))
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(video.encode(None))
