"""The LiteRT engine with the older package, ``tflite_runtime``: the same tests, in its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.engine import models

pytestmark = [pytest.mark.integration, pytest.mark.command]

PYTHON = ROOT / ".venv-tflite" / "bin" / "python"
TESTS = ("tests/unit/engine/test_contract.py", "tests/unit/engine/test_litert.py")
VERSIONS = """
import numpy
from runtime import engine
print(engine.backend("litert").capabilities().version, "numpy", numpy.__version__)
"""


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="tflite-runtime is frozen and has no wheel for Python 3.12 or newer"
)
def test_the_litert_engine_passes_its_tests_under_tflite_runtime(
    test_data: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert PYTHON.is_file(), "script/bootstrap test makes .venv-tflite"
    models.write_tflite_models(tmp_path)
    report = tmp_path / "report.xml"
    environment = {
        **os.environ,
        models.READY: str(tmp_path),
        "EDGEWARD_TEST_DATA": str(test_data),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    versions = subprocess.run(
        [PYTHON, "-c", VERSIONS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()
    assert versions.startswith("tflite_runtime 2.14"), versions
    assert " numpy 1." in versions, versions
    command = [PYTHON, "-m", "pytest", *TESTS, "-k", "litert", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--junitxml={report}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - written by the process above
    assert suite is not None
    assert suite.attrib["skipped"] == "0", done.stdout
    assert int(suite.attrib["tests"]) >= 40, done.stdout
    record_property("passed", f"{suite.attrib['tests']} tests with {versions}")
