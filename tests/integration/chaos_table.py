"""Prints what workers' mischief costs, as a table for ``docs/guide/supervision.md``.

``python -m tests.integration.chaos_table [NAME ...]``: all cases, or those whose names contain one of these.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration import mischief
from tests.integration.agent_peers import Broker
from tests.integration.chaos import CASES, Device, Figures, measure
from tests.integration.chaos_more import crash_loop, log_flood

HEAD = (
    "| what the worker does | noticed after s | results again after s | of that, loading s "
    "| fps of the other pipeline, before | during | agent MB, before | after |\n"
    "|---|---|---|---|---|---|---|---|"
)


def row(name: str, found: Figures) -> str:
    """One line of the table."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    cells = [
        name,
        number(found.noticed_s),
        number(found.recovered_s),
        number(found.load_s),
        number(found.fps_before),
        number(found.fps_during),
        f"{found.agent_before_mb:.1f}",
        f"{found.agent_after_mb:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main(names: list[str]) -> int:
    """Run the cases, one after the other."""
    data = Path(os.environ.get("EDGEWARD_TEST_DATA", ROOT.parent / "shared" / "data"))
    film = data / "videos" / "one-by-one-person-detection.mp4"
    cases: dict[str, Callable[[Device], Figures]] = {
        case.name: lambda device, case=case: measure(device, case)  # type: ignore[misc]
        for case in CASES
    }
    cases["prints 100 MB"] = lambda device: log_flood(device, megabytes=100)
    cases["crash loop: quarantine, the previous bundle"] = crash_loop
    sys.stdout.write(HEAD + "\n")
    for name, run in cases.items():
        if names and not any(part in name for part in names):
            continue
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", sys.stderr)  # what the tools for bundles print
            mischief.install(Path(folder) / "site", patch)
            broker = Broker(Path(folder)).start()
            device = Device(Path(folder), broker, film)
            try:
                found = run(device)
            finally:
                device.close()
                broker.stop()
        sys.stdout.write(row(name, found) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
