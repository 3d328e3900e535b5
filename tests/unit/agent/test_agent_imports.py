"""The agent stays light: what it loads is bounded by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

FORBIDDEN = {
    "numpy",
    "cv2",
    "av",
    "onnxruntime",
    "cryptography",
    "pkcs11",
    # Only where somebody asks for OpenMetrics text.
    "prometheus_client",
    "native",
    "runtime.authoring",
    "runtime.pipeline",
    "runtime.confinement",
    "runtime.worker",
    "runtime.worker_process",
}


def test_the_daemon_loads_no_vision_and_no_crypto_library() -> None:
    script = "import sys, agent.daemon, agent.config_file, agent.cli.agent_command; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not FORBIDDEN & set(done.stdout.split())
