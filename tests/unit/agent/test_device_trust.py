"""What a running agent makes of keys that come and go: which of its bundles nobody vouches for any more."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent.config import Config, Device, Trust
from agent.trust import store
from agent.trust.device import DeviceTrust
from runtime.bundle.ingested import Ingested
from runtime.bundle.keys import fingerprint, generate, public_pem
from runtime.bundle.trust_folder import KeyFile
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit

KEY = generate().public_key()


def bundle(name: str, signed_by: str, **facts: object) -> Ingested:
    usual = {"version": "1.0.0", "release_counter": 1, "digest": "a" * 64, "manifest_sha256": "b" * 64}
    return Ingested(
        **{**usual, **facts, "name": name, "signed_by": signed_by, "folder": "/", "size": 1, "new": True}  # type: ignore[arg-type]
    )


GATE = bundle("gate", fingerprint(KEY))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "release.pub"
    path.write_bytes(public_pem(KEY))
    return path


def device(tmp_path: Path, *release_keys: Path) -> DeviceTrust:
    trust = Trust(release_keys=tuple(map(str, release_keys)), folder=str(tmp_path / "trust.d"))
    return DeviceTrust(Config(device=Device(state_dir=str(tmp_path / "state")), trust=trust))


def test_a_plain_key_file_that_is_removed_is_a_key_that_is_removed(tmp_path: Path, plain: Path) -> None:
    trust = device(tmp_path, plain)
    assert trust.withdrawn([GATE]) is None
    before = trust.marks()
    plain.unlink()
    assert trust.marks() != before
    assert trust.withdrawn([GATE]) is GATE


def test_another_key_in_the_plain_file_is_noticed_and_a_damaged_file_ends_nothing(
    tmp_path: Path, plain: Path
) -> None:
    trust = device(tmp_path, plain)
    plain.write_bytes(public_pem(generate().public_key()))
    assert trust.withdrawn([GATE]) is GATE
    plain.write_bytes(b"x" * (1 << 20))
    assert trust.withdrawn([GATE]) is None


def test_a_fifo_in_the_place_of_a_key_does_not_hold_up_the_agent(tmp_path: Path, plain: Path) -> None:
    trust = device(tmp_path, plain)
    plain.unlink()
    os.mkfifo(plain)
    assert trust.withdrawn([GATE]) is None


def test_the_folder_says_what_a_plain_key_may_do(tmp_path: Path, plain: Path) -> None:
    trust = device(tmp_path, plain)
    folder = tmp_path / "trust.d"
    file = KeyFile(role="release", public_key=public_pem(KEY).decode(), names=("belt",))
    store.carry_out(folder, store.plan_add(folder, "release", file))
    belt = bundle("belt", fingerprint(KEY))
    assert trust.withdrawn([belt]) is None
    assert trust.withdrawn([belt, GATE]) is GATE


def test_a_device_that_trusts_nobody_is_told_how_to_begin(tmp_path: Path) -> None:
    trust = device(tmp_path)
    with pytest.raises(EdgewardError) as caught:
        trust.keys()
    assert caught.value.code is Code.KEY_MISSING
    assert "edgeward trust add" in caught.value.remedy
    (tmp_path / "trust.d").mkdir()
    assert trust.keys() == [tmp_path / "trust.d"]


@pytest.mark.parametrize(
    ("release", "digest", "code"),
    [(6, "c" * 64, Code.BUNDLE_ROLLBACK), (7, "c" * 64, Code.BUNDLE_COUNTER_REUSED), (7, "a" * 64, None)],
)
def test_what_another_pipeline_has_outrun_meanwhile_may_not_run(
    release: int, digest: str, code: Code | None, tmp_path: Path
) -> None:
    """Both were verified before either had run."""
    trust = device(tmp_path)
    assert asyncio.run(trust.commit([bundle("gate", "", release_counter=7)])) is None
    error = asyncio.run(trust.commit([bundle("gate", "", release_counter=release, digest=digest)]))
    assert (error.code if error else None) is code
