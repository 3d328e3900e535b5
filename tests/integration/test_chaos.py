"""Whatever a worker does, it is noticed, named and replaced, and harms nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration import mischief
from tests.integration.agent_peers import Broker
from tests.integration.chaos import CASES, Case, Device, Figures, measure
from tests.integration.chaos_more import log_flood

pytestmark = pytest.mark.integration

# On a machine that is busy with other tests; what one does that is not is in docs/guide/supervision.md.
SLACK_S = 6.0
LEAST_FPS = 0.7
WATCH_S = 2.0
MOST_GROWTH_MB = 12.0
# What spins is noticed after 30 s on a device.
QUICK = {"limits": {"silence": 3.0}, "stream": "read_timeout_s = 1\nstall_after_s = 1"}
QUICKLY = [replace(case, **QUICK) if case.name == "spins" else case for case in CASES]  # type: ignore[arg-type]


@pytest.fixture
def device(
    tmp_path: Path, broker: Broker, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    mischief.install(tmp_path / "site", monkeypatch)
    made = Device(tmp_path, broker, test_data / "videos" / "one-by-one-person-detection.mp4")
    yield made
    made.close()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("case", QUICKLY, ids=lambda case: case.name)
def test_mischief_of_a_worker_is_noticed_and_mended_and_harms_nobody_else(device: Device, case: Case) -> None:
    found = measure(device, case, watch_s=WATCH_S)
    harms_nobody_else(device, found)
    if not case.loads:
        assert found.noticed_s is not None
        assert found.recovered_s is not None
        assert found.recovered_s - found.noticed_s < 2.0 + found.load_s + SLACK_S


@pytest.mark.timeout(120)
def test_a_worker_that_prints_without_end_goes_on_and_harms_nobody_else(device: Device) -> None:
    harms_nobody_else(device, log_flood(device, megabytes=4, watch_s=WATCH_S))
    after = device.running("victim")
    assert after.pipelines["victim"].restarts == 0
    assert sum("xxxx" in line for line in device.log().lines) < 1000


def harms_nobody_else(device: Device, found: Figures) -> None:
    """The other pipeline keeps its rate, the agent its size."""
    assert found.fps_before > 0
    assert found.fps_during > LEAST_FPS * found.fps_before
    assert found.agent_after_mb - found.agent_before_mb < MOST_GROWTH_MB
    assert device.log().process.poll() is None
