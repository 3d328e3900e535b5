"""Each row of the bad-input list in this process: the code, and nothing left in the store."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from runtime.bundle.floors import Floor
from runtime.bundle.ingest import ingest
from runtime.bundle.keys import TrustedKeys, fingerprint, generate
from runtime.bundle.trust_folder import Grant
from runtime.errors import Code, EdgewardError
from tests.bad_bundles import ROWS
from tests.raw_bundle import Keys, Parts

from .conftest import listed

pytestmark = pytest.mark.unit

KEYS = Keys(generate(), generate(), generate(), generate())
FLOORS = {"gate": Floor(counter=7, digest="1" * 64)}
# Of no single file's bytes: paths, read errors, changes and full disks have tests of their own, and so have
# what the manifest's other checks say and files that do not fit a folder.
ELSEWHERE = {
    Code.BUNDLE_QUARANTINED,
    Code.BUNDLE_MISSING,
    Code.BUNDLE_UNREADABLE,
    Code.BUNDLE_NOT_A_FILE,
    Code.BUNDLE_READ_ERROR,
    Code.BUNDLE_CHANGED,
    Code.BUNDLE_TOO_MANY_FILES,
    Code.BUNDLE_STATEMENT,
    Code.BUNDLE_GOLDEN,
}


@pytest.fixture(scope="module")
def trusted() -> TrustedKeys:
    release, door, operate = (key.public_key() for key in (KEYS.release, KEYS.door, KEYS.operate))
    grants = {fingerprint(door): Grant(names=("door",)), fingerprint(operate): Grant(role="operate")}
    return TrustedKeys([release, door, operate], grants)


def take(data: bytes, trusted: TrustedKeys, into: Path) -> str:
    return ingest(io.BytesIO(data), "x.ewb", keys=trusted, into=into, floors=FLOORS).name


def test_the_sound_one_is_taken(trusted: TrustedKeys, tmp_path: Path) -> None:
    assert take(Parts(KEYS).assemble(), trusted, tmp_path) == "gate"


@pytest.mark.parametrize("name", ROWS)
def test_a_bundle_is_refused_with(name: str, trusted: TrustedKeys, tmp_path: Path) -> None:
    row = ROWS[name]
    with pytest.raises(EdgewardError) as caught:
        take(row.make(Parts(KEYS)), trusted, tmp_path)
    assert caught.value.code is row.code, caught.value
    assert caught.value.where.startswith("x.ewb")
    assert caught.value.remedy
    assert listed(tmp_path) == []


def test_every_code_that_a_bundle_s_bytes_can_earn_has_a_row() -> None:
    earned = {row.code for row in ROWS.values()}
    assert {code for code in Code if code.text.startswith("bundle.")} - earned <= ELSEWHERE
