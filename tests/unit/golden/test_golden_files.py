"""Golden frames and results come back as they were written, and a file that is damaged is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from runtime.errors import Code, EdgewardError
from runtime.findings import Findings
from runtime.golden import results, y4m
from runtime.golden.results import GoldenFrameResult
from runtime.source.frame import Frame, Picture

from . import found as f

pytestmark = pytest.mark.unit

SMALL = Picture("i420", 6, 4, "bt709", full_range=True)
PLANES = (bytes(range(24)), bytes(range(100, 106)), bytes(range(200, 206)))


def written(picture: Picture, frames: Sequence[Sequence[bytes]]) -> bytes:
    return y4m.header(picture) + b"".join(part for planes in frames for part in y4m.frame(planes))


def read(data: bytes) -> list[Frame]:
    return list(y4m.decode(io.BytesIO(data), where="frames.y4m"))


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [True, False])
def test_planes_and_colours_come_back(matrix: str, full_range: bool) -> None:
    picture = SMALL._replace(matrix=matrix, full_range=full_range)  # type: ignore[arg-type]
    frames = read(written(picture, [PLANES, (PLANES[0], bytes(6), bytes(6))]))
    assert [frame.picture for frame in frames] == [picture, picture]
    assert tuple(bytes(plane) for plane in frames[0].planes) == PLANES
    assert bytes(frames[1].planes[2]) == bytes(6)
    assert frames[0].strides == (6, 3, 3)
    # Each frame is a session of its own: a model with a state begins anew.
    assert [(frame.index, frame.session) for frame in frames] == [(0, 0), (1, 1)]


def test_other_programs_read_the_file(tmp_path: Path) -> None:
    luma, chroma = np.arange(64 * 48, dtype=np.uint32) % 251, np.arange(32 * 24) % 13 + 90
    planes = [luma.astype(np.uint8).tobytes(), *[chroma.astype(np.uint8).tobytes()] * 2]
    path = tmp_path / "frames.y4m"
    path.write_bytes(written(Picture("i420", 64, 48, "bt601", full_range=True), [planes, planes]))
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 2
    assert (frames[0].width, frames[0].height) == (64, 48)
    assert np.array_equal(frames[0].to_ndarray()[:48].reshape(-1), luma)


def test_several_files_are_one_sequence() -> None:
    other = Picture("i420", 2, 2, "bt601", full_range=False)
    files = {"a": written(SMALL, [PLANES] * 2), "b": written(other, [(b"abcd", b"u", b"v")])}
    frames = list(y4m.golden_frames(("a", "b"), lambda name: io.BytesIO(files[name]), count=3))
    assert [(frame.index, frame.picture) for frame in frames] == [(0, SMALL), (1, SMALL), (2, other)]


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_frames_than_the_manifest_s_is_refused(count: int) -> None:
    files = {"a": written(SMALL, [PLANES] * 2)}
    with pytest.raises(EdgewardError, match="the manifest says") as refused:
        list(y4m.golden_frames(("a",), lambda name: io.BytesIO(files[name]), count=count))
    assert refused.value.code is Code.BUNDLE_GOLDEN


GOOD = written(SMALL, [PLANES, PLANES])
HEADER = y4m.header(SMALL)


@pytest.mark.parametrize("length", [*range(len(HEADER)), *range(len(HEADER) + 1, len(HEADER) + 42)])
def test_a_file_that_ends_early_is_refused(length: int) -> None:
    with pytest.raises(EdgewardError) as refused:
        read(GOOD[:length])
    assert (refused.value.code, refused.value.where) == (Code.BUNDLE_GOLDEN, "frames.y4m")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF" + bytes(200),
        GOOD.replace(b"W6", b"W5"),
        GOOD.replace(b"W6", b"W0"),
        GOOD.replace(b"W6", b"W600000"),
        # 15 GB a frame, were it believed.
        GOOD.replace(b"W6 H4", b"W99998 H99998"),
        GOOD.replace(b"W6 H4", b"W8192 H4098"),
        GOOD.replace(b"420jpeg", b"444"),
        GOOD.replace(b"BT709", b"BT2020"),
        GOOD.replace(b"FRAME\n", b"FRAME Ixyz\n"),
        GOOD + b"FRAME\n",
        GOOD + b"more",
    ],
)
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(EdgewardError) as refused:
        read(data)
    assert refused.value.code is Code.BUNDLE_GOLDEN
    assert refused.value.remedy


@pytest.mark.parametrize("picture", [SMALL._replace(width=5), SMALL._replace(format="nv12")])
def test_a_picture_that_the_format_does_not_have_is_not_written(picture: Picture) -> None:
    with pytest.raises(ValueError, match="Picture"):
        y4m.header(picture)


RESULTS = [
    GoldenFrameResult(
        source="a.jpg",
        findings=f.detections(f.thing(keypoints=f.points((1.5, 2)), mask=f.mask((0, 0, 4, 4), "#.", ".#"))),
    ),
    GoldenFrameResult(source="b.mp4#3", findings=Findings()),
    GoldenFrameResult(source="c", findings=f.classes(("cat", 0.1 + 0.2))),
    GoldenFrameResult(source="d", findings=f.vector(1 / 3, -1e-30)),
    GoldenFrameResult(source="e", findings=f.tensors(a=np.arange(6, dtype=np.int64).reshape(2, 3))),
    GoldenFrameResult(source="f", findings=f.cells([[0, -1], [1, 1]])),
]


def one_frame(**findings: object) -> bytes:
    frame = {"source": "a", "findings": findings}
    return json.dumps({"schema": 1, "made_by": {}, "frames": [frame]}).encode()


def grid(width: int, height: int, runs: object) -> dict[str, object]:
    return {"box": [0, 0, 9, 9], "width": width, "height": height, "runs": runs, "shares": {}}


def tensor(dtype: str, shape: list[int]) -> list[dict[str, object]]:
    return [{"name": "a", "dtype": dtype, "shape": shape, "data": "AAAAAA=="}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (one_frame(segmentation=grid(4, 4, [[0, 3]])), "whose runs are not as many"),
        (one_frame(segmentation=grid(2, 2, [[0, -4], [0, 8]])), "whose runs are not as many"),
        (one_frame(segmentation=grid(0, 4, [])), "4 cells, of which there must be"),
        (one_frame(segmentation=grid(100_000, 100_000, [[0, 10**10]])), "of which there must be"),
        (one_frame(segmentation=grid(1, 1, [[10**12, 1]])), "a class that there cannot be"),
        (one_frame(segmentation=grid(1, 1, [[0, 10**30]])), "whose runs are not as many"),
        (
            one_frame(detections=[["a", 0.9, [0, 0, 9, 9], [], [[0, 0, 9, 9], 2, 2, [-1, 5]]]]),
            "a mask of 2x2 cells whose runs are not as many",
        ),
        (one_frame(tensors=tensor("object", [1])), "a tensor of 'object'"),
        (one_frame(tensors=tensor("float32", [5])), r"a tensor of float32 \[5\] in 4 bytes"),
        (one_frame(tensors=tensor("float32", [-1])), "in 4 bytes"),
        (one_frame(tensors=tensor("float32", [1 << 40, 1 << 40])), "in 4 bytes"),
    ],
)
def test_results_that_are_not_what_they_say_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(EdgewardError, match=f"frame 0: .*{says}") as refused:
        results.parse(data, where="results.json", count=1)
    assert (refused.value.code, refused.value.where) == (Code.BUNDLE_GOLDEN, "results.json")


def test_results_come_back_exactly() -> None:
    data = results.encode(RESULTS, {"numpy": "2", "engine": "x 1"})
    found = results.parse(data, where="results.json", count=len(RESULTS))
    assert found.frames == tuple(RESULTS)
    assert found.findings == tuple(one.findings for one in RESULTS)
    assert results.encode(RESULTS, {"engine": "x 1", "numpy": "2"}) == data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff", "not golden results"),
        (b'{"schema": 2, "made_by": {}, "frames": []}', "schema"),
        (b'{"schema": 1, "made_by": {}, "frames": [], "more": 1}', "unknown field"),
        (
            b'{"schema": 1, "made_by": {}, "frames": [{"source": "a", "findings": {"embedding": [NaN]}}]}',
            "JSON",
        ),
        (b'{"schema": 1, "made_by": {}, "frames": ' + b"[" * 100_000, "not golden results"),
        (b'{"schema": 1, "made_by": {}, "frames": []}', "results of 0 frames, the manifest says 1"),
    ],
)
def test_other_results_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(EdgewardError, match=says) as refused:
        results.parse(data, where="results.json", count=1)
    assert (refused.value.code, refused.value.where) == (Code.BUNDLE_GOLDEN, "results.json")
