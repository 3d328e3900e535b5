"""``edgeward engines`` tells what this device has, whatever state an added engine is in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import Code
from tests.conftest import ROOT
from tests.unit.engine.test_added_engine import install

pytestmark = [pytest.mark.integration, pytest.mark.command]


def engines(*arguments: str, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if site is not None:
        environment["PYTHONPATH"] = os.pathsep.join((str(site), str(ROOT)))
    command = [sys.executable, "-m", "agent.cli.main", "engines", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_engines_are_told_with_what_they_run_on_or_why_they_cannot() -> None:
    told = engines()
    assert (told.returncode, told.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in told.stdout.splitlines())
    assert "CPUExecutionProvider" in lines["onnxruntime"]
    assert lines["rknn"].startswith("not available: ")
    document = json.loads(engines("--json").stdout)["engines"]
    assert set(document) == set(lines) >= {"litert", "ncnn", "onnxruntime", "openvino", "rknn", "tensorrt"}
    assert document["onnxruntime"]["available"] is True
    assert document["rknn"]["available"] is False


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise OSError('libnpu.so: cannot open shared object file')", "libnpu.so"),
        ("def capabilities(): raise KeyError('board')", "asking it failed: 'board'"),
        ("print('hello from a vendor')\ndef capabilities(): raise KeyError('x')", "asking it failed"),
    ],
)
def test_an_added_engine_that_is_broken_is_one_line_of_the_list(tmp_path: Path, code: str, says: str) -> None:
    install(tmp_path, "broken_vendor", "broken-npu", code + "\n")
    document = json.loads(engines("--json", site=tmp_path).stdout)["engines"]
    assert says in document["broken-npu"]["reason"]
    assert document["onnxruntime"]["available"] is True


def test_an_added_engine_that_crashes_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    install(
        tmp_path, "crashing_vendor", "crash-npu", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    told = engines("--json", site=tmp_path)
    assert told.returncode == int(Code.ENGINE_UNAVAILABLE.exit_status)
    assert json.loads(told.stderr)["error"]["code"] == Code.ENGINE_UNAVAILABLE.text
    assert "-11" in told.stderr
