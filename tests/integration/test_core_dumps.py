"""A worker that crashes leaves its core dump where it is looked for, and nowhere else."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.workers.cores import PATTERN
from tests.integration import mischief
from tests.integration.agent_peers import Broker
from tests.integration.chaos import Device

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        "/" in PATTERN.read_text() or PATTERN.read_text().startswith("|"),
        reason="on this machine the kernel gives core dumps to somebody else",
    ),
]


@pytest.fixture
def device(
    tmp_path: Path, broker: Broker, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    mischief.install(tmp_path / "site", monkeypatch)
    made = Device(tmp_path, broker, test_data / "videos" / "one-by-one-person-detection.mp4")
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_core_dumps_are_named_after_bundle_and_signal_and_stay_few(device: Device) -> None:
    victim = device.bundle("victim", "run:segfault")
    device.start(victim.bundle, None, supervision="bad_ends = 4\ncore_dumps = 2\ncore_max_mb = 64")
    log = device.log()
    assert "/state/cores/victim-1.0.0-" in log.wait_line("core dump: ", 40)
    log.wait_line("is in quarantine", 60)
    cores = sorted((device.folder / "state" / "cores").iterdir())
    assert 1 <= len(cores) <= 2
    for core in cores:
        assert core.name.startswith("victim-1.0.0-")
        assert core.name.endswith("-SIGSEGV.core")
        assert stat.S_IMODE(core.stat().st_mode) == 0o600
        assert core.read_bytes()[:4] == b"\x7fELF"
    assert sum(core.stat().st_blocks * 512 for core in cores) <= 64 << 20
    assert log.end() == 0
    left = [path for path in device.folder.rglob("*core*") if path.is_file() and path.suffix != ".core"]
    assert left == []


@pytest.mark.timeout(60)
def test_without_core_dumps_none_is_made(device: Device) -> None:
    victim = device.bundle("victim", "run:segfault")
    device.start(victim.bundle, None, supervision="bad_ends = 2\ncore_dumps = 0")
    device.log().wait_line("is in quarantine", 60)
    assert device.log().end() == 0
    assert not any("core dump:" in line for line in device.log().lines)
    assert [path for path in device.folder.rglob("*core*") if path.is_file()] == []
