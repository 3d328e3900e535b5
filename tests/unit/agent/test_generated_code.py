"""What is generated from the .proto files is what their generator writes today."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[3]
MESSAGES = ("python", "pyi")
PROTOS = {
    "agent/control/control.proto": (*MESSAGES, "grpclib_python"),
    "runtime/serve/open_inference.proto": MESSAGES,
}


@pytest.mark.parametrize("proto", PROTOS)
def test_generated_code_is_of_the_proto_beside_it(proto: str, tmp_path: Path) -> None:
    kinds = PROTOS[proto]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            "--proto_path=.",
            *(f"--{kind}_out={tmp_path}" for kind in kinds),
            proto,
        ],
        cwd=ROOT,
        check=True,
        timeout=60,
        # The plugin is a program of the environment's.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == len(kinds)
    for path in written:
        kept = ROOT / path.relative_to(tmp_path)
        assert kept.read_bytes() == path.read_bytes(), f"{kept} is old: run script/proto"
