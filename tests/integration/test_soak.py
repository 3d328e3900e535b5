"""``script/soak`` ends in order whenever it is told to, with what it has found and heard until then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.integration.agent_peers import Broker
from tests.soak.heard import Heard

pytestmark = [pytest.mark.integration, pytest.mark.command]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_soak_that_is_ended_leaves_its_table_and_no_process(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "soak.json"
    command = [sys.executable, "-m", "tests.soak", "--minutes", "60", "--json", str(out)]
    soak = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert soak.stdout is not None
    with soak.stdout:
        lines = []
        family: list[psutil.Process] = []
        for line in soak.stdout:
            lines.append(line)
            if "cameras gone" in line and not family:
                family = psutil.Process(soak.pid).children(recursive=True)
                soak.send_signal(number)
    assert soak.wait(60) == 130, lines
    text = "".join(lines)
    assert "| agent memory (PSS), MB |" in text
    document = json.loads(out.read_text())
    assert document["disturbances"]["cameras gone for 4 s"]["times"] == 1
    assert document["results"]["steady/cam-1"] > 0
    assert not document["faults"]
    assert len(family) > 3
    gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, [process.cmdline() for process in alive]
    assert len(gone) == len(family)


def test_a_length_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "number of minutes" in done.stderr


def test_a_stream_that_fell_silent_for_good_is_silent_until_the_soak_ends(broker: Broker) -> None:
    heard = Heard(broker.port)
    try:
        heard._note_silence(("steady", "cam-1"))
        time.sleep(0.3)
        assert heard.longest_silence_s()["steady", "cam-1"] >= 0.3
    finally:
        heard.close()
