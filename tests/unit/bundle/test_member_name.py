"""A file's name in a bundle leads nowhere else and is one file on every file system."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.bundle.member_name import check_case, check_name
from runtime.bundle.pack import pack
from runtime.errors import Code, EdgewardError

from .conftest import TOML, make_author

pytestmark = pytest.mark.unit

names = st.text(st.sampled_from("aA09._+-/\\ \n\0é~$"), max_size=12)


def code_of(check: Callable[[], None]) -> Code | None:
    try:
        check()
    except EdgewardError as error:
        return error.code
    return None


@given(names)
@example("a" * 255)
@example("a" * 256)
def test_what_is_allowed_stays_below_its_folder_and_has_one_spelling(name: str) -> None:
    if code := code_of(lambda: check_name(name, where="x")):
        assert code.text.startswith("bundle.name-")
        return
    assert name.isascii()
    assert os.path.normpath(name) == name == str(PurePosixPath(name))
    assert not name.startswith(("/", "-", "."))
    assert len(name) <= 255


@given(st.lists(names.filter(bool), max_size=6))
def test_names_that_differ_in_case_only_are_found(listed: list[str]) -> None:
    spelled = {path for name in listed for path in _with_folders(name)}
    collide = len({path.lower() for path in spelled}) != len(spelled)
    code = code_of(lambda: check_case(listed, where="x"))
    assert code is (Code.BUNDLE_NAME_CASE if collide else None)


def _with_folders(name: str) -> list[str]:
    return [name[:at] for at in range(1, len(name)) if name[at] == "/"] + [name]


@pytest.mark.parametrize(("path", "made"), [("Model.onnx", "Model.onnx"), ("Docs/more.txt", "Docs/more.txt")])
def test_pack_refuses_names_that_differ_in_case_only(path: str, made: str, tmp_path: Path) -> None:
    toml = TOML.replace("[preprocess]", f'[[file]]\npath = "{path}"\nrole = "data"\n\n[preprocess]')
    author = make_author(tmp_path / "author", model=b"a model", toml=toml)
    (author / made).parent.mkdir(exist_ok=True)
    (author / made).write_bytes(b"more")
    with pytest.raises(EdgewardError, match="differ in case only") as caught:
        pack(author, tmp_path / "x.ewb")
    assert caught.value.code is Code.BUNDLE_NAME_CASE
    assert not (tmp_path / "x.ewb").exists()
