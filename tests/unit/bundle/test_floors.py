"""Rollback floors: what is older than what has run is refused, and a damaged file refuses everything."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import floors, policy
from runtime.bundle.floors import Floor
from runtime.bundle.inspection import verify_any
from runtime.errors import Code, EdgewardError
from tests.unit.bundle.conftest import KeyPair

pytestmark = pytest.mark.unit

KNOWN = {"gate": Floor(counter=7, digest="a" * 64), "ppe": Floor(counter=1, digest="")}


def judge(counter: int, digest: str, known: Mapping[str, Floor] = KNOWN) -> Code | None:
    try:
        policy.check_floor("gate", counter, digest, known.get("gate"), where="gate.ewb")
    except EdgewardError as error:
        return error.code if error.remedy else None
    return None


@pytest.mark.parametrize(
    ("counter", "digest", "code"),
    [
        (8, "b" * 64, None),
        (7, "a" * 64, None),
        (7, "b" * 64, Code.BUNDLE_COUNTER_REUSED),
        (6, "a" * 64, Code.BUNDLE_ROLLBACK),
        (1, "b" * 64, Code.BUNDLE_ROLLBACK),
    ],
)
def test_a_release_is_judged_by_the_newest_that_has_run(counter: int, digest: str, code: Code | None) -> None:
    assert judge(counter, digest) is code


def test_a_name_that_has_never_run_has_no_floor() -> None:
    assert judge(1, "b" * 64, {}) is None


def test_a_floor_that_was_set_by_hand_takes_any_bundle_of_its_counter() -> None:
    known = {"gate": Floor(counter=7, digest="")}
    assert judge(7, "b" * 64, known) is None
    assert judge(6, "b" * 64, known) is Code.BUNDLE_ROLLBACK


NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
FLOOR = st.builds(
    Floor,
    counter=st.integers(1, (1 << 63) - 1),
    digest=st.one_of(st.just(""), st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
)


@given(known=st.dictionaries(NAMES, FLOOR, max_size=10))
def test_what_is_written_is_what_is_read(
    known: dict[str, Floor], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("floors") / "floors.json"
    path.write_bytes(floors.encode(known))
    assert floors.load(path) == known


def test_no_file_means_no_floors(tmp_path: Path) -> None:
    assert floors.load(tmp_path / "floors.json") == {}
    assert floors.load(None) == {}


def damaged(path: Path) -> EdgewardError:
    with pytest.raises(EdgewardError) as caught:
        floors.load(path)
    assert "edgeward trust floors reset" in caught.value.remedy
    return caught.value


def test_a_change_of_any_byte_is_loud(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    good = floors.encode(KNOWN)
    accepted = 0
    for index in range(len(good)):
        for flip in (0x01, 0x20, 0x80):
            path.write_bytes(good[:index] + bytes([good[index] ^ flip]) + good[index + 1 :])
            accepted += outcome(path)
    assert accepted < 5, "white space that became other white space, at most"


def outcome(path: Path) -> bool:
    """Whether the file is taken: then it must say what it said, and its refusal must have the code."""
    try:
        found = floors.load(path)
    except EdgewardError as error:
        if error.code is not Code.TRUST_FLOORS:
            raise
        return False
    assert found == KNOWN
    return True


def test_a_file_that_was_cut_is_loud_wherever_the_cut_is(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    good = floors.encode(KNOWN).rstrip()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        assert damaged(path).code is Code.TRUST_FLOORS


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": 2, "floors": {}, "sha256": "' + "0" * 64 + '"}',
        '{"schema": 1, "floors": {}}',
        '{"schema": 1, "floors": {}, "sha256": "' + "0" * 64 + '", "more": 1}',
        '{"schema": 1, "floors": {"gate": {"counter": 0, "digest": ""}}, "sha256": "' + "0" * 64 + '"}',
    ],
)
def test_another_form_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    path.write_text(text)
    assert damaged(path).code is Code.TRUST_FLOORS


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    path.write_bytes(floors.encode(KNOWN))
    path.chmod(0o666)
    with pytest.raises(EdgewardError) as caught:
        floors.load(path)
    assert caught.value.code is Code.TRUST_WRITABLE


def test_a_link_is_no_file_of_floors(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(floors.encode(KNOWN))
    (tmp_path / "floors.json").symlink_to(tmp_path / "real")
    with pytest.raises(EdgewardError) as caught:
        floors.load(tmp_path / "floors.json")
    assert caught.value.code is Code.TRUST_FLOORS


def test_a_desk_has_no_floors(small: Path, release: KeyPair, tmp_path: Path) -> None:
    copy = shutil.copy(small, tmp_path / "gate.ewb")
    assert verify_any(Path(copy), [release.public]).manifest.release_counter == 7
