"""The archive itself: what is written is read, and nothing else is read."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.bundle.container import END, Reader, Writer
from runtime.bundle.limits import MAX_MEMBERS
from runtime.bundle.ustar import BLOCK, encode_header
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

part = st.text("abcXYZ019._+-", min_size=1, max_size=60).filter(lambda text: text[0] not in ".-+")
names = st.lists(part, min_size=1, max_size=4).map("/".join).filter(lambda name: len(name) <= 155)
members = st.dictionaries(names, st.binary(max_size=1500), min_size=1, max_size=5)


def write(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    for name, data in files.items():
        writer.add(name, len(data), (data,))
    writer.finish()
    return stream.getvalue()


def read(archive: bytes) -> dict[str, bytes]:
    reader = Reader(io.BufferedReader(io.BytesIO(archive)), size=len(archive), where="x.ewb")
    found = {}
    while (member := reader.member()) is not None:
        found[member.name] = b"".join(reader.chunks())
    return found


@settings(deadline=None)
@given(members)
def test_what_was_written_is_read_again(files: dict[str, bytes]) -> None:
    assert list(read(write(files)).items()) == list(files.items())


@settings(deadline=None)
@given(members)
def test_the_same_files_give_the_same_bytes_as_python_s_own_ustar(files: dict[str, bytes]) -> None:
    expected = b""
    for name, data in files.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        expected += info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)
    assert write(files) == expected + END


@settings(max_examples=300, deadline=None)
@given(members, st.data())
def test_a_changed_byte_outside_the_data_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    archive = bytearray(write(files))
    at = data.draw(st.integers(0, len(archive) - 1))
    archive[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(archive))
    except EdgewardError as error:
        assert error.code is Code.BUNDLE_FORMAT  # noqa: PT017 - both outcomes are fine
        return
    # The container has no digest of the data: there, and only there, a change passes to the next check.
    assert list(found) == list(files)
    assert sum(a != b for name in files for a, b in zip(found[name], files[name], strict=True)) == 1


@settings(deadline=None)
@given(members, st.data())
def test_a_cut_or_lengthened_archive_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    archive = write(files)
    cut = data.draw(st.integers(BLOCK, len(archive) - 1))
    more = data.draw(st.binary(min_size=1, max_size=1100))
    for wrong, code in (
        (archive[:cut], Code.BUNDLE_TRUNCATED),
        (archive + more, Code.BUNDLE_TRAILING),
        (archive + bytes(BLOCK), Code.BUNDLE_TRAILING),
    ):
        with pytest.raises(EdgewardError) as caught:
            read(wrong)
        assert caught.value.code is code


@pytest.mark.parametrize(
    "kind", [b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"x", b"g", b"L", b"K", b"S"]
)
def test_only_plain_files_are_read(kind: bytes) -> None:
    info = tarfile.TarInfo("a")
    info.type = kind
    with pytest.raises(EdgewardError, match="not a file"):
        read(info.tobuf(tarfile.USTAR_FORMAT) + END)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("mode", 0o755, "mode"),
        ("uid", 1, "uid"),
        ("gid", 1, "gid"),
        ("mtime", 1, "mtime"),
        ("uname", "root", "user name"),
        ("gname", "root", "group name"),
        ("linkname", "x", "link name"),
    ],
)
def test_a_header_that_says_more_is_refused_by_its_field(field: str, value: object, named: str) -> None:
    info = tarfile.TarInfo("a")
    setattr(info, field, value)
    with pytest.raises(EdgewardError, match=f"wrong {named}"):
        read(info.tobuf(tarfile.USTAR_FORMAT) + END)


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_forms_of_other_archivers_are_refused(format_: int) -> None:
    info = tarfile.TarInfo("ä" * 120)
    with pytest.raises(EdgewardError):
        read(info.tobuf(format_) + END)


@pytest.mark.parametrize(
    "size", [b"00000000004 ", b"0000000004\0\0", b"\x80" + bytes(10) + b"\4", b"-0000000004\0"]
)
def test_a_size_in_another_notation_is_refused(size: bytes) -> None:
    header = bytearray(encode_header("a", 4))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(EdgewardError, match="not eleven octal digits") as caught:
        read(bytes(header) + b"data".ljust(BLOCK, b"\0") + END)
    assert caught.value.code is Code.BUNDLE_SIZE_FIELD


def test_too_many_files_are_refused() -> None:
    with pytest.raises(EdgewardError, match="more than"):
        read(encode_header("a", 0) * (MAX_MEMBERS + 1) + END)


def test_a_huge_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(EdgewardError, match="more than 8 GiB"):
        read(encode_header("a", 8**11 - 1) + END)


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"", "the file is empty"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b"PK\x03\x04", "a zip file"),
        (b"hello", "not a bundle"),
        (b"\0" * 2000, "not a bundle"),
        (b"model.sig\0\0", "ends early"),
    ],
)
def test_what_is_given_instead_of_a_bundle_is_named(start: bytes, named: str) -> None:
    with pytest.raises(EdgewardError, match=named):
        read(start)


@pytest.mark.parametrize(
    ("name", "size"), [("", 0), ("ä", 0), ("a\0b", 0), ("a" * 101, 0), ("a", -1), ("a", 8**11)]
)
def test_the_writer_refuses_what_the_reader_would(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"ASCII|fit"):
        encode_header(name, size)


@pytest.mark.parametrize("data", [b"abc", b"abcde"])
def test_the_writer_refuses_data_of_another_size(data: bytes) -> None:
    with pytest.raises(ValueError, match="instead of 4"):
        Writer(io.BytesIO()).add("a", 4, (data,))
