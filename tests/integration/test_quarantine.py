"""A bundle that fails again and again is put in quarantine, and the one that ran well before runs again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.trust import floors as floor_store
from runtime.bundle import floors
from tests.conftest import Signed
from tests.integration import mischief
from tests.integration.agent_peers import Broker
from tests.integration.chaos import Device

pytestmark = pytest.mark.integration

QUICK = "bad_ends = 2"
# Enough for it to become ready first, so that the rollback floor rises.
READY_THEN_ABORTS = "run:after=25 native abort"


@pytest.fixture
def device(
    tmp_path: Path, broker: Broker, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    mischief.install(tmp_path / "site", monkeypatch)
    made = Device(tmp_path, broker, test_data / "videos" / "one-by-one-person-detection.mp4")
    yield made
    made.close()


def place(device: Device, signed: Signed) -> Path:
    """Put a bundle in the configured place, as an update does."""
    path = device.folder / "victim.ewb"
    new = device.folder / "new.ewb"
    shutil.copyfile(signed.bundle, new)
    new.rename(path)
    return path


def end_worker(device: Device) -> None:
    """End the worker, so that the next one takes the bundle that lies there now."""
    found = device.metrics(lambda body: body.pipelines["victim"].pid is not None, after=device.heard.mark())
    os.kill(found.pipelines["victim"].pid or 0, signal.SIGKILL)


@pytest.mark.timeout(240)
def test_a_release_that_crash_loops_gives_way_to_the_last_good_one_for_good(device: Device) -> None:
    releases = {1: "run:", 2: READY_THEN_ABORTS, 3: "run:"}
    good, bad, next_one = (device.bundle("victim", deed, release=number) for number, deed in releases.items())
    path = place(device, good)
    device.start(path, None, supervision=QUICK)
    log = device.log()
    record = device.folder / "state" / "pipelines" / "victim.json"
    device.metrics(lambda _: record.exists() and '"version": "1.0.0"' in record.read_text(), 40)
    assert json.loads(record.read_text())["stages"][""]["current"]["variant"] == "only"

    place(device, bad)
    lines, mark = len(log.lines), device.heard.mark()
    end_worker(device)
    log.wait_line("victim 2.0.0 is in quarantine", 60, after=lines)
    log.wait_line("victim 1.0.0 runs on mischief", after=lines)
    device.result("victim", device.heard.mark())
    known = floors.load(floor_store.path_in(device.folder / "state"))
    assert known["victim"].counter == 2, "the floor stays where the bad release raised it"
    assert mark < device.heard.mark()
    device.metrics(
        lambda body: (
            body.pipelines["victim"].state == "running" and body.pipelines["victim"].streams["cam"].fps > 5
        ),
        after=device.heard.mark(),
    )

    # Remembered: the next agent does not try it again.
    assert log.end() == 0
    device.start(path, None, supervision=QUICK)
    log = device.log()
    log.wait_line("victim 1.0.0 runs on mischief", 40)
    assert not any("victim 2.0.0 runs" in line for line in log.lines)

    # A newer release ends it.
    place(device, next_one)
    end_worker(device)
    log.wait_line("victim 3.0.0 runs on mischief", 40)
    device.result("victim", device.heard.mark())
    assert log.end() == 0


@pytest.mark.timeout(120)
def test_a_first_bundle_that_crash_loops_stays_in_quarantine_until_another_one_comes(device: Device) -> None:
    bad, good = device.bundle("victim", "run:native abort"), device.bundle("victim", "run:", release=2)
    path = place(device, bad)
    device.start(path, None, supervision=QUICK)
    log = device.log()
    found = device.metrics(lambda body: body.pipelines["victim"].state == "quarantined", 40)
    assert found.pipelines["victim"].restarts == 2
    line = log.wait_line("no other one has run well here")
    assert "[bundle.quarantined]" in line
    assert "edgeward pipelines start victim" in line
    # The same bundle in another file is the same bundle.
    lines = len(log.lines)
    place(device, bad)
    log.wait_line("no other one has run well here", after=lines)
    place(device, good)
    log.wait_line("victim 2.0.0 runs on mischief", 40)
    device.result("victim", device.heard.mark())
    assert log.end() == 0
