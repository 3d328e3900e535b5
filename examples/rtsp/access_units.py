"""Writes `.aus` files, the recordings that `examples/rtsp/server.py` plays (its head tells the format).

python -m examples.rtsp.access_units film.mp4 film.aus                  # as it is, nothing re-encoded
python -m examples.rtsp.access_units film.mp4 film.aus --codec h265     # as a camera would encode it
"""

from __future__ import annotations

import argparse
import itertools
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

import av
import numpy as np
import numpy.typing as npt
from av.bitstream import BitStreamFilterContext
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

Codec = Literal["h264", "h265"]
Image = npt.NDArray[np.uint8]

UNIT_HEADER = struct.Struct("<Iqq")  # size, pts_ns, dts_ns
NS = 1_000_000_000
FILTERS: dict[str, tuple[Codec, str]] = {
    # dump_extra repeats the parameter sets at key frames where the file keeps them in its header only.
    "h264": ("h264", "h264_mp4toannexb,dump_extra=freq=keyframe"),
    "hevc": ("h265", "hevc_mp4toannexb,dump_extra=freq=keyframe"),
}
ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "veryfast", "tune": "zerolatency"}),
    "h265": (
        "libx265",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x265-params": "log-level=none:repeat-headers=1:pools=1:frame-threads=1",
        },
    ),
}


@dataclass(frozen=True)
class AccessUnit:
    """One encoded picture: Annex B bytes and its times."""

    pts_ns: int
    dts_ns: int
    data: bytes


def write_aus(
    path: Path, units: list[AccessUnit], *, codec: Codec, size: tuple[int, int], fps: Fraction
) -> None:
    """Write `units`, in decoding order, with times moved so that the first picture is shown at 0."""
    if not units:
        raise ValueError(f"{path}: there is no picture to write")
    start = min(unit.pts_ns for unit in units)
    last = max(unit.pts_ns for unit in units)
    header = {
        "codec": codec,
        "width": size[0],
        "height": size[1],
        "fps": f"{fps.numerator}/{fps.denominator}",
        "frames": len(units),
        "duration_ns": last - start + round(NS / fps),
    }
    with path.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        for unit in units:
            file.write(UNIT_HEADER.pack(len(unit.data), unit.pts_ns - start, unit.dts_ns - start))
            file.write(unit.data)


def read_aus(path: Path) -> tuple[dict[str, Any], list[AccessUnit]]:
    """Header and access units of an `.aus` file."""
    with path.open("rb") as file:
        header = cast(dict[str, Any], json.loads(file.readline()))
        units = []
        while head := file.read(UNIT_HEADER.size):
            size, pts, dts = UNIT_HEADER.unpack(head)
            units.append(AccessUnit(pts, dts, file.read(size)))
    return header, units


def _whole_prefix(units: list[AccessUnit], max_frames: int) -> list[AccessUnit]:
    """The longest start of at most `max_frames` units that no later unit reaches back into.

    With B-frames a cut anywhere would leave pictures without those that they are predicted from.
    """
    if len(units) <= max_frames:
        return units
    for count in range(max_frames, 0, -1):
        if max(unit.pts_ns for unit in units[:count]) < min(unit.pts_ns for unit in units[count:]):
            return units[:count]
    return units[:1]


def _on_grid(times: list[int], fps: Fraction) -> list[int]:
    """Presentation times moved onto multiples of the frame period, if all of them are within 1 ms of one.

    Matroska rounds to milliseconds; over many rounds of a loop that would add up to whole frames.
    """
    start = min(times)
    exact = [round(round((time - start) * fps / NS) * NS / fps) for time in times]
    off = max(abs(time - start - place) for time, place in zip(times, exact, strict=True))
    return exact if off <= 1_000_000 else [time - start for time in times]


def _decoding_times(times: list[int]) -> list[int]:
    """The latest increasing decoding times that let every picture be decoded before it is shown."""
    in_order = sorted(times)
    delay = max((early - shown for early, shown in zip(in_order, times, strict=True)), default=0)
    return [time - delay for time in in_order]


def write_access_units(video_path: Path, out_path: Path, max_frames: int | None = None) -> int:
    """Copy the video track of an mp4, mkv, ts or raw H.264/H.265 file; returns the number of pictures.

    Nothing is re-encoded. With `max_frames` the recording ends at the last picture before that many from
    which on nothing is missing.
    """
    shown: list[int] = []
    data: list[bytes] = []
    with av.open(str(video_path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        if context.name not in FILTERS:
            raise ValueError(f"{video_path}: the video is {context.name}, expected h264 or hevc")
        codec, filter_name = FILTERS[context.name]
        fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
        annex_b = BitStreamFilterContext(filter_name, stream)
        for packet in container.demux(stream):
            for out in annex_b.filter(packet if packet.size else None):
                if out.pts is None or out.time_base is None:
                    # Raw streams carry no times. Without reordering the pictures come one a period.
                    if context.has_b_frames:
                        raise ValueError(f"{video_path}: B-frames without times; wrap it into an mp4 first")
                    shown.append(round(len(shown) * NS / fps))
                else:
                    shown.append(round(out.pts * out.time_base * NS))
                data.append(bytes(out))
        size = (context.width, context.height)
    shown = _on_grid(shown, fps) if shown else []
    units = [AccessUnit(*unit) for unit in zip(shown, _decoding_times(shown), data, strict=True)]
    if max_frames is not None:
        units = _whole_prefix(units, max_frames)
    write_aus(out_path, units, codec=codec, size=size, fps=fps)
    return len(units)


def _camera_encoder(
    codec: Codec, fps: Fraction, size: tuple[int, int], gop: int, rate: dict[str, str]
) -> VideoCodecContext:
    """An encoder set up as cameras are: no B-frames, no look-ahead, limited range, one slice."""
    name, options = ENCODERS[codec]
    context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate = fps
    context.time_base = 1 / fps
    context.gop_size = gop
    context.max_b_frames = 0
    context.thread_count = 1
    high_definition = size[1] >= 720
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709 if high_definition else Colorspace.ITU601
    context.color_primaries = ColorPrimaries.BT709 if high_definition else ColorPrimaries.SMPTE170M
    context.color_trc = ColorTrc.BT709 if high_definition else ColorTrc.SMPTE170M
    if "bit_rate" in rate:
        context.bit_rate = int(rate["bit_rate"])
        rate = {}
    context.options = {**options, **rate}
    return context


def encode_access_units(
    frames: Iterable[Image],
    out_path: Path,
    *,
    codec: Codec,
    fps: Fraction,
    gop: int | None = None,
    crf: int = 23,
    bit_rate: int | None = None,
) -> int:
    """Encode BGR frames (uint8 [H, W, 3], all of one even size); returns the number of pictures.

    `gop` is the distance of key frames in pictures (default: 2 s). `bit_rate` in bit/s goes before `crf`.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise ValueError(f"{out_path}: there is no frame to encode")
    size = (first.shape[1], first.shape[0])
    rate = {"crf": str(crf)} if bit_rate is None else {"bit_rate": str(bit_rate)}
    encoder = _camera_encoder(codec, fps, size, gop or max(1, round(2 * fps)), rate)
    matrix = Colorspace.ITU709 if size[1] >= 720 else Colorspace.ITU601
    units: list[AccessUnit] = []

    def keep(packets: Iterable[av.Packet[Any]]) -> None:
        for packet in packets:
            pts = round((packet.pts or 0) * NS / fps)
            dts = round((packet.dts or 0) * NS / fps)
            units.append(AccessUnit(pts, min(pts, dts), bytes(packet)))

    for index, image in enumerate(itertools.chain([first], source)):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24").reformat(
            format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG
        )
        frame.pts = index
        frame.time_base = 1 / fps
        keep(encoder.encode(frame))
    keep(encoder.encode(None))
    write_aus(out_path, units, codec=codec, size=size, fps=fps)
    return len(units)


def decode_access_units(path: Path) -> Iterator[Image]:
    """The pictures of an `.aus` file as BGR, in the order they are shown."""
    header, units = read_aus(path)
    decoder = cast(
        VideoCodecContext, av.CodecContext.create({"h264": "h264", "h265": "hevc"}[header["codec"]], "r")
    )
    for unit in [*units, None]:
        packet = None if unit is None else av.Packet(unit.data)
        for frame in decoder.decode(packet):
            yield cast(Image, frame.to_ndarray(format="bgr24"))


def _frames(path: Path, max_frames: int | None) -> Iterator[Image]:
    with av.open(str(path)) as container:
        for frame in itertools.islice(container.decode(video=0), max_frames):
            yield cast(Image, frame.to_ndarray(format="bgr24"))


def _rate(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        return Fraction(container.streams.video[0].average_rate or 25)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write an .aus recording from a video file.")
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--codec", choices=["h264", "h265"], help="encode anew (default: copy the track)")
    parser.add_argument("--max-frames", type=int)
    parser.add_argument("--fps", type=Fraction, help="rate of the new encoding; default: the file's")
    arguments = parser.parse_args()
    if arguments.codec is None:
        if arguments.fps is not None:
            parser.error("--fps needs --codec: a copied track keeps its times")
        count = write_access_units(arguments.video, arguments.out, arguments.max_frames)
    else:
        fps = arguments.fps or _rate(arguments.video)
        frames = _frames(arguments.video, arguments.max_frames)
        count = encode_access_units(frames, arguments.out, codec=arguments.codec, fps=fps)
    print(f"{arguments.out}: {count} pictures")


if __name__ == "__main__":
    main()
