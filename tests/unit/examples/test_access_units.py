from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from examples.conveyor.footage import read_truth, write_footage
from examples.rtsp.access_units import (
    AccessUnit,
    decode_access_units,
    encode_access_units,
    read_aus,
    write_access_units,
    write_aus,
)

pytestmark = pytest.mark.unit

WIDTH, HEIGHT, FPS = 320, 192, Fraction(15)


def numbered(count: int) -> Iterator[np.ndarray]:
    """Pictures that carry their number as black and white bars."""
    for number in range(count):
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for bit in range(8):
            image[40:150, 16 + bit * 36 : 44 + bit * 36] = 235 if number >> bit & 1 else 16
        yield image


def number_of(image: np.ndarray) -> int:
    return sum(1 << bit for bit in range(8) if image[60:130, 20 + bit * 36 : 40 + bit * 36].mean() > 125)


def nal_types(codec: str, data: bytes) -> list[int]:
    starts = [at + 3 for at in range(len(data) - 3) if data[at : at + 3] == b"\0\0\1"]
    return [data[at] & 31 if codec == "h264" else data[at] >> 1 & 63 for at in starts]


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_encoded_pictures_come_back_in_order(tmp_path: Path, codec) -> None:
    path = tmp_path / "film.aus"
    assert encode_access_units(numbered(40), path, codec=codec, fps=FPS, gop=16) == 40
    assert [number_of(image) for image in decode_access_units(path)] == list(range(40))
    header, units = read_aus(path)
    expected = {"codec": codec, "width": WIDTH, "height": HEIGHT, "fps": "15/1", "frames": 40}
    assert header == expected | {"duration_ns": round(40e9 / 15)}
    assert [unit.pts_ns for unit in units] == [round(n * 1e9 / 15) for n in range(40)]
    assert all(unit.dts_ns == unit.pts_ns for unit in units)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_each_group_of_pictures_starts_with_parameter_sets(tmp_path: Path, codec) -> None:
    path = tmp_path / "film.aus"
    encode_access_units(numbered(40), path, codec=codec, fps=FPS, gop=16)
    _, units = read_aus(path)
    wanted = {"h264": {7, 8}, "h265": {32, 33, 34}}[codec]
    with_sets = [n for n, unit in enumerate(units) if wanted <= set(nal_types(codec, unit.data))]
    assert with_sets == [0, 16, 32]


def make_film(path: Path, encoder: str, frames: int, b_frames: int) -> None:
    with av.open(str(path), "w") as container:
        options = {
            "libx264": {"preset": "ultrafast", "x264-params": "b-adapt=0"},
            "libx265": {"preset": "ultrafast", "x265-params": "b-adapt=0:log-level=none"},
        }[encoder]
        stream = container.add_stream(encoder, rate=15, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = 12
        for image in numbered(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
@pytest.mark.parametrize(("encoder", "codec"), [("libx264", "h264"), ("libx265", "h265")])
def test_a_track_with_b_frames_is_copied_with_its_times(tmp_path: Path, name, encoder, codec) -> None:
    make_film(tmp_path / name, encoder, 30, b_frames=3)
    path = tmp_path / "film.aus"
    assert write_access_units(tmp_path / name, path) == 30
    header, units = read_aus(path)
    assert header["codec"] == codec
    assert header["duration_ns"] == 2_000_000_000
    shown = [unit.pts_ns for unit in units]
    assert sorted(shown) == [round(n * 1e9 / 15) for n in range(30)]
    assert shown != sorted(shown)
    decoded = [unit.dts_ns for unit in units]
    assert decoded == sorted(decoded)
    assert all(unit.dts_ns <= unit.pts_ns for unit in units)
    assert [number_of(image) for image in decode_access_units(path)] == list(range(30))


def test_a_cut_leaves_no_picture_without_those_it_builds_on(tmp_path: Path) -> None:
    make_film(tmp_path / "film.mp4", "libx264", 30, b_frames=3)
    path = tmp_path / "film.aus"
    for limit in (1, 5, 7, 8, 29, 30, 99):
        count = write_access_units(tmp_path / "film.mp4", path, max_frames=limit)
        assert 1 <= count <= limit
        assert [number_of(image) for image in decode_access_units(path)] == list(range(count))


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_raw_file_without_b_frames_is_timed_by_its_rate(tmp_path: Path, codec) -> None:
    encode_access_units(numbered(20), tmp_path / "a.aus", codec=codec, fps=Fraction(25))
    raw = tmp_path / f"film.{codec}"
    raw.write_bytes(b"".join(unit.data for unit in read_aus(tmp_path / "a.aus")[1]))
    assert write_access_units(raw, tmp_path / "b.aus") == 20
    header, units = read_aus(tmp_path / "b.aus")
    assert header["fps"] == "25/1"
    assert [unit.pts_ns for unit in units] == [n * 40_000_000 for n in range(20)]


def test_times_start_at_zero_whatever_they_were(tmp_path: Path) -> None:
    path = tmp_path / "film.aus"
    units = [AccessUnit(5_000, 4_000, b"a"), AccessUnit(9_000, 8_000, b"b")]
    write_aus(path, units, codec="h264", size=(2, 2), fps=Fraction(250_000))
    header, back = read_aus(path)
    assert back == [AccessUnit(0, -1_000, b"a"), AccessUnit(4_000, 3_000, b"b")]
    assert header["duration_ns"] == 8_000


def test_other_codecs_and_empty_films_are_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=15)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(WIDTH, HEIGHT, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="expected h264 or hevc"):
        write_access_units(tmp_path / "film.mkv", tmp_path / "film.aus")
    with pytest.raises(ValueError, match="no frame"):
        encode_access_units(iter([]), tmp_path / "film.aus", codec="h264", fps=FPS)


def test_footage_goes_with_its_truth(tmp_path: Path) -> None:
    truths = write_footage(
        tmp_path / "belt.aus",
        seed=3,
        codec="h264",
        frames=8,
        truth_path=tmp_path / "belt.json",
        size=(640, 360),
    )
    content = json.loads((tmp_path / "belt.json").read_text())
    assert (content["frames"], content["width"], content["height"], content["fps"]) == (8, 640, 360, 15)
    assert content["labels"] == ["bolt", "nut", "washer", "damaged"]
    back = read_truth(tmp_path / "belt.json")
    assert [[t.part_id for t in frame] for frame in back] == [[t.part_id for t in frame] for frame in truths]
    assert back[0][0].box == pytest.approx(truths[0][0].box, abs=0.01)
    assert len(list(decode_access_units(tmp_path / "belt.aus"))) == 8
