"""A picture of what a stream sees, when somebody asks: the next frame that is looked at, as a JPEG.

The inference thread only passes the frame on; a thread that lives for one picture draws and encodes. The
encoder is libav's, so that no device needs OpenCV for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from fractions import Fraction

import av
import av.error
import msgspec
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace

from runtime import ipc
from runtime.engine import Array
from runtime.errors import Code, EdgewardError
from runtime.findings import Detection
from runtime.source.frame import Frame

log = logging.getLogger("snapshot")

# The message holds the result too.
MOST_JPEG_BYTES = ipc.MAX_FRAME - (1 << 20)
_QUALITIES = (3, 8, 16, 31)
_LAYOUTS = {"i420": "yuv420p", "nv12": "nv12", "bgr24": "bgr24"}
# Whoever asked before those has given up: the agent has no more questions open, and not for long.
_MOST_WAITING = 64
_SEEN = 0.2  # keypoints with less are places that the model does not see
# Y, U, V in the full range of JPEG; each label of a picture has the next one.
_COLOURS = ((173, 54, 73), (105, 90, 218), (150, 196, 60), (90, 200, 190), (205, 40, 150), (190, 128, 128))


class Snapshots:
    """The open requests of one worker. ``take`` is called by one thread, ``offer`` by another.

    Args:
        streams: names of the worker's streams.
        send: to the agent, from any thread.
    """

    def __init__(self, streams: Iterable[str], send: Callable[[ipc.FromWorker], None]) -> None:
        self._streams = frozenset(streams)
        self._send = send
        self._lock = threading.Lock()
        self._wanted: dict[str, list[ipc.TakeSnapshot]] = {}
        # One at a time: drawing for many at once would take the processors from the pipeline.
        self._encoding = threading.Lock()

    def take(self, request: ipc.TakeSnapshot) -> None:
        """Answer with the stream's next frame; returns at once."""
        if request.stream not in self._streams:
            self._send(_refusal(request, Code.CONTROL_UNKNOWN_STREAM, "the worker has no such stream"))
            return
        with self._lock:
            waiting = self._wanted.setdefault(request.stream, [])
            waiting.append(request)
            del waiting[:-_MOST_WAITING]

    def offer(self, stream: str, frame: Frame, result: ipc.Result) -> None:
        """A frame was looked at. Costs nothing unless somebody waits for one."""
        if not self._wanted:
            return
        with self._lock:
            requests = self._wanted.pop(stream, ())
        if requests:
            threading.Thread(
                target=self._answer_all, args=(requests, frame, result), name="snapshot", daemon=True
            ).start()

    def _answer_all(self, requests: Iterable[ipc.TakeSnapshot], frame: Frame, result: ipc.Result) -> None:
        for request in requests:
            self._answer(request, frame, result)

    def _answer(self, request: ipc.TakeSnapshot, frame: Frame, result: ipc.Result) -> None:
        try:
            with self._encoding:
                answer = snapshot(request, frame, result)
        except EdgewardError as error:
            answer = _refusal(request, error.code, error.what)
        except Exception as error:  # a picture must not cost the pipeline its worker
            log.exception("a snapshot failed")
            answer = _refusal(
                request, Code.INTERNAL, f"the picture could not be made: {type(error).__name__}"
            )
        try:
            self._send(answer)
        except EdgewardError:
            # Masks or tensors of megabytes beside it: the picture alone is what was asked for.
            self._send(msgspec.structs.replace(answer, result=None))


def snapshot(request: ipc.TakeSnapshot, frame: Frame, result: ipc.Result) -> ipc.Snapshot:
    """The answer to ``request`` out of ``frame``, in which ``result`` was found.

    Raises:
        EdgewardError: ``CONTROL_NO_PICTURE``: too large at any quality, or nothing that libav can encode.
    """
    picture = frame.picture
    width = min(picture.width, request.max_width or picture.width)
    height = max(1, round(picture.height * width / picture.width))
    try:
        image = _as_jpeg_takes_it(frame, width, height)
        if request.annotate:
            _draw(image, result.detections, width / picture.width)
        jpeg = _encode(image)
    except (av.error.FFmpegError, ValueError) as error:
        what = f"no picture of {width}x{height} pixels can be made: {error}"
        raise EdgewardError(Code.CONTROL_NO_PICTURE, what) from error
    return ipc.Snapshot(
        id=request.id,
        jpeg=jpeg,
        width=width,
        height=height,
        arrived_ns=frame.arrived_ns,
        result=result,
    )


def _as_jpeg_takes_it(frame: Frame, width_out: int, height: int) -> av.VideoFrame:
    """The picture at that size in JPEG's colours: BT.601, full range, 4:2:0."""
    picture = frame.picture
    image = av.VideoFrame(picture.width, picture.height, _LAYOUTS[picture.format])
    for plane, buffer, stride in zip(image.planes, frame.planes, frame.strides, strict=True):
        rows = np.frombuffer(memoryview(buffer), np.uint8, plane.height * stride).reshape(
            plane.height, stride
        )
        width_bytes = min(stride, plane.line_size)
        _rows(plane)[:, :width_bytes] = rows[:, :width_bytes]
    return image.reformat(
        width=width_out,
        height=height,
        format="yuvj420p",
        src_colorspace=Colorspace.ITU709 if picture.matrix == "bt709" else Colorspace.ITU601,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if picture.full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )


def _draw(image: av.VideoFrame, detections: Iterable[Detection], scale: float) -> None:
    """Boxes and keypoints, a colour for each label; names are for whoever reads the result."""
    pages = [_rows(plane)[:, : plane.width] for plane in image.planes]
    colours: dict[str, tuple[int, int, int]] = {}
    line = max(2, image.width // 320)
    for found in detections:
        colour = colours.setdefault(found.label, _COLOURS[len(colours) % len(_COLOURS)])
        left, top, right, bottom = (scale * side for side in found.box)
        for edge in (
            (left, top, right, top + line),
            (left, bottom - line, right, bottom),
            (left, top, left + line, bottom),
            (right - line, top, right, bottom),
        ):
            _fill(pages, edge, colour)
        for point in found.keypoints:
            if point.score >= _SEEN:
                x, y = scale * point.x, scale * point.y
                _fill(pages, (x - line, y - line, x + line, y + line), colour)


def _fill(pages: list[Array], area: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
    """Fill a rectangle of the luma plane, and what belongs to it of the two halved ones."""
    full = pages[0].shape
    left, right = (int(min(max(side, 0), full[1])) for side in (area[0], area[2]))
    top, bottom = (int(min(max(side, 0), full[0])) for side in (area[1], area[3]))
    if left >= right or top >= bottom:
        return
    pages[0][top:bottom, left:right] = colour[0]
    for page, value in zip(pages[1:], colour[1:], strict=True):
        page[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2] = value


def _rows(plane: VideoPlane) -> Array:
    """A plane as rows of bytes, the padding behind each included; writing changes the picture."""
    rows: Array = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows


def _encode(image: av.VideoFrame) -> bytes:
    """The best quality that fits into a message."""
    for quality in _QUALITIES:
        encoder = av.CodecContext.create("mjpeg", "w")
        assert isinstance(encoder, av.VideoCodecContext)  # noqa: S101 - for the type checker
        encoder.width, encoder.height, encoder.pix_fmt = image.width, image.height, "yuvj420p"
        encoder.time_base = Fraction(1, 25)
        encoder.qmin = encoder.qmax = quality
        encoder.thread_count = 1
        image.pts = 0
        jpeg = b"".join(bytes(packet) for packet in [*encoder.encode(image), *encoder.encode(None)])
        if len(jpeg) <= MOST_JPEG_BYTES:
            return jpeg
    raise EdgewardError(
        Code.CONTROL_NO_PICTURE,
        f"a picture of {image.width}x{image.height} pixels is over {MOST_JPEG_BYTES} bytes",
        remedy="ask for a narrower one",
    )


def _refusal(request: ipc.TakeSnapshot, code: Code, what: str) -> ipc.Snapshot:
    return ipc.Snapshot(id=request.id, code=code.text, what=what)
