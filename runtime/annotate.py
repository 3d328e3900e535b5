"""Write what the model saw: the pictures with what was found in them, as an MP4 (extra ``[annotate]``)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np

import native
from runtime.engine import Array
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.ipc import Result
from runtime.source.frame import Frame, Picture
from runtime.vision.drawing import Drawing

if TYPE_CHECKING:
    from types import ModuleType

_TIME_BASE = Fraction(1, 90000)


class Annotator:
    """An H.264 MP4 of one stream; playable even when the process is killed half-way.

    Args:
        path: the file to write; an existing one is replaced.

    Raises:
        EdgewardError: when the path cannot be written or OpenCV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cv2 = _import_cv2()
        try:
            self._container = av.open(
                str(path),
                "w",
                format="mp4",
                options={"movflags": "frag_keyframe+empty_moov+default_base_moof"},
            )
        except (av.error.FFmpegError, OSError) as error:
            raise _failure(error, path) from error
        self._video: av.VideoStream | None = None
        self._first_s: float | None = None
        self._last_pts = -1
        self._failed = False
        self._drawing = Drawing(self._cv2)

    def write(self, frame: Frame, result: Result) -> None:
        """Append one picture with everything that ``result`` found in it.

        Raises:
            EdgewardError: ``SYSTEM_DISK_FULL`` or another reason why the file cannot grow.
        """
        picture = to_bgr(frame)
        self._drawing.draw(picture, result)
        try:
            video = self._video or self._begin(frame.picture)
            if (video.width, video.height) != (picture.shape[1] & ~1, picture.shape[0] & ~1):
                picture = self._cv2.resize(picture, (video.width, video.height))
            image = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture[: video.height, : video.width]), format="bgr24"
            )
            image.pts, image.time_base = self._pts(frame), _TIME_BASE
            self._container.mux(video.encode(image))
        except (av.error.FFmpegError, OSError) as error:
            # libav crashes when a file whose muxing has failed is finished.
            self._failed = True
            raise _failure(error, self._path) from error

    def close(self) -> None:
        """Finish the file; nothing is left to finish after ``write`` has failed."""
        if self._failed:
            return
        try:
            if self._video is not None:
                self._container.mux(self._video.encode(None))
            self._container.close()
        except (av.error.FFmpegError, OSError) as error:
            raise _failure(error, self._path) from error

    def _begin(self, picture: Picture) -> av.VideoStream:
        if min(picture.width, picture.height) < 2:
            raise EdgewardError(
                Code.SYSTEM_IO,
                f"a picture of {picture.width}x{picture.height} pixels is too small for a film",
                where=str(self._path),
                remedy="leave out the film for this source",
            )
        video = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
        # H.264 4:2:0 has even sizes only.
        video.width, video.height = picture.width & ~1, picture.height & ~1
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = _TIME_BASE
        self._video = video
        return video

    def _pts(self, frame: Frame) -> int:
        seconds = frame.arrived_ns / 1e9 if frame.pts_s is None else frame.pts_s
        if self._first_s is None:
            self._first_s = seconds
        pts = round((seconds - self._first_s) / _TIME_BASE)
        # A new session or a frame without a time starts elsewhere; a file's time only goes forward.
        if pts <= self._last_pts:
            pts = self._last_pts + 3000
        self._last_pts = pts
        return pts


def to_bgr(frame: Frame) -> Array:
    """A copy of the picture as uint8 ``[H, W, 3]`` BGR, by the native pass at its own size."""
    picture = frame.picture
    out: Array = np.empty((picture.height, picture.width, 3), np.uint8)
    plan = native.Preprocess(
        format=picture.format,
        width=picture.width,
        height=picture.height,
        matrix=picture.matrix,
        full_range=picture.full_range,
        out_width=picture.width,
        out_height=picture.height,
        fit="stretch",
        order="bgr",
        dtype="uint8",
        layout="nhwc",
    )
    plan.run(frame.planes, frame.strides, out)
    return out


def _failure(error: av.error.FFmpegError | OSError, path: Path) -> EdgewardError:
    """Libav's errors carry an errno, but not all of them are OSErrors."""
    plain = OSError(error.errno, error.strerror or str(error))
    return from_os_error(plain, where=str(path), fallback=Code.SYSTEM_IO)


def _import_cv2() -> ModuleType:
    try:
        import cv2  # noqa: PLC0415 - an extra, 50 MB that only this needs
    except ImportError as error:
        raise EdgewardError(
            Code.USAGE,
            "drawing needs OpenCV, which is not installed",
            where="--annotate",
            remedy="pip install 'edgeward[annotate]'",
        ) from error
    return cv2
