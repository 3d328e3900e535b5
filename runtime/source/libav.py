"""Files, RTSP and HTTP streams through PyAV: planes handed on without a copy, arrival times kept."""

from __future__ import annotations

import math
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import av
import av.error
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from runtime.errors import Code, EdgewardError
from runtime.ipc import StreamSpec
from runtime.redact import redact
from runtime.source import failure
from runtime.source.frame import Drop, Frame, Picture, PixelFormat
from runtime.tally import Tally

SCHEMES = ("file", "http", "https", "rtsp", "rtsps")
_AS_IT_IS: dict[str, PixelFormat] = {"yuv420p": "i420", "yuvj420p": "i420", "nv12": "nv12", "bgr24": "bgr24"}
_BT709, _UNSPECIFIED, _BT2020 = 1, 2, (9, 10)
_FULL_RANGE = 2
_BROKEN_IN_A_ROW = 250
_NO_PICTURE_S = 10.0
_NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS: libav invents 25 a second for these formats
_CODEC_NAMES = {"hevc": "h265"}  # libav's name, and the one that cameras and people use

av.logging.set_level(None)


class LibavSource:
    """One connection to a source. Not thread-safe; ``frames`` is read by one thread.

    Args:
        spec: what to open, and its time-outs in seconds.
        session: how many connections came before this one.
        tally: told of the CPU time of demux and decode, of packets that would not decode and of
            pictures that the decoder flags broken.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        session: int = 0,
        tally: Tally | None = None,
    ) -> None:
        self._spec = spec
        self._session = session
        self._tally = tally or Tally()
        self._container: InputContainer | None = None
        self.where = redact(spec.url)
        self.live = not is_file(spec.url)
        self.codec = ""
        self.width = 0
        self.height = 0
        self.declared_fps = 0.0
        self._has_times = True
        self._waited_s = 0.0

    def open(self) -> None:
        """Connect and find the video track.

        Raises:
            EdgewardError: one of the ``SOURCE_`` codes, naming the URL without its password.
        """
        address = target(self._spec.url)
        timeout_s = self._spec.open_timeout_s
        started, cpu_began = time.monotonic(), time.thread_time()
        try:
            self._container = av.open(
                address,
                timeout=(timeout_s, self._spec.read_timeout_s),
                options=_options(self._spec.url),
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            waited_s = time.monotonic() - started
            raise failure.of_open(error, where=self.where, timeout_s=timeout_s, waited_s=waited_s) from error
        finally:
            # Of some containers libav decodes the first pictures already to find out what they hold.
            self._tally.spent_decoding(time.thread_time() - cpu_began, 0.0)
        self._select_track()

    def _select_track(self) -> None:
        assert self._container is not None  # noqa: S101 - open() has just set it
        if not self._container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams}))
            self.close()
            raise EdgewardError(
                Code.SOURCE_NO_VIDEO,
                f"has no video track, only {kinds or 'nothing'}",
                where=self.where,
                remedy="choose the camera's video stream",
            )
        track = self._container.streams.video[0]
        # None where libav has no decoder, whatever PyAV's types say.
        context: object = track.codec_context
        if context is None or not track.codec_context.codec.is_decoder:
            self.close()
            raise EdgewardError(
                Code.SOURCE_CODEC,
                "is video of a kind that has no decoder here",
                where=self.where,
                remedy="set the camera to H.264 or H.265",
            )
        for other in self._container.streams:
            if other is not track:
                other.discard = Discard.all
        # One thread: frame threading would hold back one frame a thread, and the cores belong to
        # the streams and the model.
        track.codec_context.thread_count = 1
        track.codec_context.copy_opaque = True
        self.codec = _CODEC_NAMES.get(track.codec_context.name, track.codec_context.name)
        self.width, self.height = track.codec_context.width, track.codec_context.height
        self.declared_fps = float(track.average_rate or 0)
        # A file is read at any speed, so times that were made from its frame rate are as good as any.
        self._has_times = not (self.live and self._container.format.flags & _NO_TIMESTAMPS)

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def frames(self) -> Iterator[Frame]:
        """Decoded pictures in presentation order until the source ends.

        Raises:
            EdgewardError: ``SOURCE_STALLED``, ``SOURCE_LOST`` or ``SOURCE_DATA``.
        """
        assert self._container is not None, "open() first"  # noqa: S101 - a caller's mistake, not a user's
        demuxer = self._container.demux(self._container.streams.video[0])
        index = 0
        broken = 0
        shown_at = time.monotonic()
        while (packet := self._read(demuxer)) is not None:
            pictures = self._decode(packet)
            broken = broken + 1 if pictures is None else 0
            if pictures:
                shown_at = time.monotonic()
            silent_s = time.monotonic() - shown_at if self.live else 0.0
            if broken >= _BROKEN_IN_A_ROW or silent_s > max(self._spec.read_timeout_s, _NO_PICTURE_S):
                raise EdgewardError(
                    Code.SOURCE_DATA,
                    f"data comes and no picture: {broken} packets in a row would not decode",
                    where=self.where,
                    remedy="look at it with a player; check the camera's codec settings",
                )
            for picture in pictures or ():
                self._tally.decoded()
                if picture.is_corrupt:
                    self._tally.dropped(Drop.CORRUPT)
                else:
                    yield self._frame(picture, index)
                index += 1

    def _read(self, demuxer: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
        """The next packet, stamped with the time of its arrival; None at the end."""
        began, cpu_began = time.monotonic(), time.thread_time()
        try:
            packet = next(demuxer, None)
        except (av.error.FFmpegError, OSError) as error:
            raise failure.of_read(
                error,
                where=self.where,
                timeout_s=self._spec.read_timeout_s,
                waited_s=time.monotonic() - began,
            ) from error
        self._tally.spent_decoding(time.thread_time() - cpu_began, 0.0)  # its wall time is that of the camera
        if self.live and time.monotonic() - began >= self._spec.read_timeout_s:
            # Interrupted, libav first hands out what its parser still held: a picture as old as the wait.
            raise failure.stalled(where=self.where, timeout_s=self._spec.read_timeout_s)
        if packet is not None:
            self._waited_s = time.monotonic() - began
            packet.opaque = time.monotonic_ns()
        return packet

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame] | None:
        """The pictures that ``packet`` completes; None when it would not decode.

        A lost packet breaks a picture, not the stream.
        """
        began, cpu_began = time.monotonic(), time.thread_time()
        try:
            return packet.decode()
        except av.error.InvalidDataError:
            self._tally.decode_error()
            return None
        except av.error.FFmpegError as error:
            raise failure.of_read(error, where=self.where, timeout_s=math.inf, waited_s=0.0) from error
        finally:
            self._tally.spent_decoding(time.thread_time() - cpu_began, time.monotonic() - began)

    def _converted(self, picture: VideoFrame) -> VideoFrame:
        try:
            return picture.reformat(format="yuv420p")
        except (av.error.FFmpegError, ValueError) as error:
            raise EdgewardError(
                Code.SOURCE_CODEC,
                f"is video of a pixel format that cannot be converted: {picture.format.name}",
                where=self.where,
                remedy="set the camera to H.264 or H.265, 8 bit, 4:2:0",
            ) from error

    def _frame(self, picture: VideoFrame, index: int) -> Frame:
        kind = _AS_IT_IS.get(picture.format.name)
        was_rgb = picture.format.is_rgb
        full_range = picture.color_range == _FULL_RANGE or picture.format.name.startswith("yuvj")
        if kind is None:
            # 10-bit, 4:2:2 and the like: rare on cameras, so swscale's copy is accepted here.
            picture = self._converted(picture)
            kind = "i420"
        arrived = picture.opaque
        planes = picture.planes  # made anew at each access
        return Frame(
            picture=Picture(
                kind, picture.width, picture.height, _matrix(picture, was_rgb=was_rgb), full_range
            ),
            planes=planes,
            strides=tuple([plane.line_size for plane in planes]),
            index=index,
            session=self._session,
            pts_s=picture.time if self._has_times else None,
            arrived_ns=arrived if isinstance(arrived, int) else time.monotonic_ns(),
            waited_s=self._waited_s,
        )


def _matrix(picture: VideoFrame, *, was_rgb: bool) -> Literal["bt601", "bt709"]:
    """Colour matrix as tagged; untagged pictures follow the usual rule, HD is BT.709.

    Not so those that swscale has just made of RGB: it takes BT.601 at any size.
    """
    space = int(picture.colorspace)
    if space == _BT709 or space in _BT2020:
        return "bt709"
    if space == _UNSPECIFIED and not was_rgb and (picture.width >= 1280 or picture.height > 576):
        return "bt709"
    return "bt601"


def is_file(url: str) -> bool:
    """Whether ``url`` names a file: a path, or ``file://``."""
    return "://" not in url or url.startswith("file://")


def target(url: str) -> str:
    """What libav opens for ``url``.

    Raises:
        EdgewardError: ``SOURCE_SCHEME`` for a scheme that is not supported, ``SOURCE_MISSING`` for a
            path that does not exist or is a folder.
    """
    if is_file(url):
        path = Path(unquote(urlsplit(url).path) if url.startswith("file://") else url)
        try:
            folder = stat.S_ISDIR(path.stat().st_mode)
        except (OSError, ValueError) as error:
            what = (getattr(error, "strerror", None) or str(error)).lower()
            what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {what}"
            raise EdgewardError(
                Code.SOURCE_MISSING, what, where=str(path), remedy="check the path"
            ) from error
        if folder:
            raise EdgewardError(Code.SOURCE_MISSING, "is a folder", where=str(path), remedy="check the path")
        # The explicit protocol keeps libav from reading a colon in the name as one.
        return f"file:{path}"
    scheme = url.split("://", 1)[0].lower()
    if scheme not in SCHEMES:
        raise EdgewardError(
            Code.SOURCE_SCHEME,
            f"the scheme {scheme!r} is not supported",
            where=redact(url),
            remedy=f"use a path or one of {', '.join(name + '://' for name in SCHEMES)}",
        )
    return url


def _options(url: str) -> dict[str, str]:
    if url.startswith(("rtsp://", "rtsps://")):
        # TCP: a lost datagram breaks pictures until the next key frame. No probing: the session
        # description and the decoder tell all that is used, and libav would hold back the first two
        # or three seconds of pictures to measure a frame rate (seen: 1.9 s instead of 70 ms).
        return {"rtsp_transport": "tcp", "probesize": "32", "fpsprobesize": "0"}
    return {}
