"""A variant is added behind what the author wrote, of which no byte changes; or nothing is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from runtime.authoring import variant_text
from runtime.bundle.author import VariantTable, load
from runtime.bundle.replace import NewFile, write_together
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

HEAD = '[bundle]\nname = "m"\nversion = "1.0.0"\nrelease_counter = 1\nlabels = ["a"]  # mine\n'
TAIL = '[preprocess]\nfit = "crop"\n[postprocess]\ndecoder = "classification"'
SPECS = (
    'input = [{ name = "x", dtype = "float32", shape = ["batch", 3, 8, 8] }]\n'
    'output = [{ name = "y", dtype = "int8", shape = ["batch", 1], quantisation = { scale = 0.5 } }]\n'
)
TABLES = f"""{HEAD}
[[variant]]  # the only one
id = "plain"
engine = "onnxruntime"
file = "m.onnx"
arch = ["x86_64"]
profiles = ["pc"]
{SPECS}
[variant.preprocess]
fit = "letterbox"
mean = [1, 2, 3]

[variant.postprocess]
decoder = "yolov8_pose"
keypoints = ["nose", 'the "left" eye']

{TAIL}"""
VARIANT = (
    f'{{ id = "plain", engine = "onnxruntime", file = "m.onnx", {SPECS.strip().replace(chr(10), ", ")} }}'
)
INLINE = f"variant = [{VARIANT}]\n{HEAD}{TAIL}"


def author(folder: Path, text: str) -> VariantTable:
    (folder / "bundle.toml").write_text(text)
    base = load(folder).variants[0]
    return msgspec.structs.replace(base, id="small", file="m-int8.onnx", precision="int8")


def test_the_variant_is_added_as_it_was_meant_and_the_rest_stays(tmp_path: Path) -> None:
    new = author(tmp_path, TABLES)
    variant_text.append(tmp_path, variant_text.block(new, ("Why.", "And\nmore = 1")), new, b"model")
    text = (tmp_path / "bundle.toml").read_text()
    assert text.startswith(TABLES + "\n")
    assert load(tmp_path).variants[1] == new
    assert (tmp_path / "m-int8.onnx").read_bytes() == b"model"


def test_variants_in_a_list_cannot_be_added_to_and_nothing_changes(tmp_path: Path) -> None:
    new = author(tmp_path, INLINE)
    with pytest.raises(EdgewardError) as refused:
        variant_text.append(tmp_path, variant_text.block(new, ()), new, b"model")
    assert refused.value.code is Code.USAGE
    assert "[[variant]]" in refused.value.remedy
    assert (tmp_path / "bundle.toml").read_text() == INLINE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.toml"]


def test_a_model_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    new = author(tmp_path, TABLES)
    (tmp_path / "m-int8.onnx").write_bytes(b"mine")
    with pytest.raises(EdgewardError) as refused:
        variant_text.append(tmp_path, variant_text.block(new, ()), new, b"model")
    assert refused.value.code is Code.USAGE
    assert (tmp_path / "m-int8.onnx").read_bytes() == b"mine"
    assert (tmp_path / "bundle.toml").read_text() == TABLES


def test_the_line_ends_of_windows_stay_throughout(tmp_path: Path) -> None:
    author(tmp_path, TABLES)
    old = TABLES.replace("\n", "\r\n").encode()
    (tmp_path / "bundle.toml").write_bytes(old)
    new = msgspec.structs.replace(load(tmp_path).variants[0], id="small", file="m-int8.onnx")
    variant_text.append(tmp_path, variant_text.block(new, ("Why.",)), new, b"model")
    data = (tmp_path / "bundle.toml").read_bytes()
    assert data.startswith(old)
    assert data.count(b"\n") == data.count(b"\r\n")
    assert load(tmp_path).variants[1] == new


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_stops_between_the_two_files_takes_the_model_back(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = author(tmp_path, TABLES)
    old = TABLES.replace("\n", ends).encode()
    (tmp_path / "bundle.toml").write_bytes(old)

    def stopped(files: list[NewFile], *, replace: bool) -> None:
        write_together(files[:1], replace=replace)
        raise KeyboardInterrupt

    monkeypatch.setattr(variant_text, "write_together", stopped)
    with pytest.raises(KeyboardInterrupt):
        variant_text.append(tmp_path, variant_text.block(new, ()), new, b"model")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"bundle.toml": old}
