"""The agent stays small with everything loaded; script/bench measures it longer and beside a bare client."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import footprint
from bench.main import FOOTPRINT_AIMS

pytestmark = pytest.mark.integration


def test_the_agent_with_an_idle_pipeline_stays_below_40_mb(tmp_path: Path) -> None:
    found = footprint.run(tmp_path, seconds=5, starts=1)
    assert found.agent.pss_mb <= FOOTPRINT_AIMS["agent_pss_mb"]
    # Time depends on who else is at work on this machine: ten times the aim is no accident any more.
    assert found.agent.cpu_pct <= 10 * FOOTPRINT_AIMS["agent_cpu_pct"]
    assert found.agent.ready_s <= 10 * FOOTPRINT_AIMS["agent_ready_s"]
    assert found.floor.pss_mb < found.agent.pss_mb
