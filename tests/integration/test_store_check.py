"""Damage of a stored bundle is found, even where nothing but its bytes tells; trouble with keys is none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import config_file
from agent.health.store import StoreMarks, StoreRecheck, verifier
from agent.trust.device import DeviceTrust
from agent.trust.ingest import ingest
from tests.integration.test_agent_trust import Site

pytestmark = [pytest.mark.integration, pytest.mark.command]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.write_config("line")
    made.add("release")
    made.release(3)
    yield made
    made.agents.close()


def stored(site: Site) -> Path:
    """The folder of the bundle, as the agent stores it."""
    config = config_file.load(site.config)
    into = site.folder / "state" / "bundles"
    keys = DeviceTrust(config).keys()
    return asyncio.run(ingest(site.folder / "line.ewb", keys, into, limits=config.bundles.limits)).path


def damage_unseen(file: Path) -> None:
    """One bit, as a flash card loses it: no time, size or number changes."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    with file.open("r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def faults(site: Site, digest: str) -> dict[str, str]:
    recheck = StoreRecheck(lambda: [digest], verifier(config_file.load(site.config)))
    asyncio.run(recheck.look([digest]))
    return recheck.faults


def test_a_lost_bit_is_found_by_the_daily_check_alone(site: Site) -> None:
    folder = stored(site)
    marks = StoreMarks(folder.parent)
    assert marks.look() == {}
    assert faults(site, folder.name) == {}
    damage_unseen(folder / "model.onnx")
    assert marks.look() == {}
    assert "damaged" in faults(site, folder.name)[folder.name]
    # The agent stores it anew at the next start of the pipeline, which mends it.
    assert stored(site) == folder
    assert faults(site, folder.name) == {}


def test_a_manifest_that_was_changed_and_a_bundle_that_is_gone_are_damage(site: Site) -> None:
    folder = stored(site)
    damage_unseen(folder / "manifest.json")
    assert faults(site, folder.name)
    assert "not in the store" in faults(site, "0" * 64)["0" * 64]


def test_a_key_that_was_taken_away_is_no_damage(site: Site) -> None:
    folder = stored(site)
    site.add("other", "--standby")
    for file in (site.folder / "trust.d").glob("release*"):
        file.unlink()
    assert faults(site, folder.name) == {}
