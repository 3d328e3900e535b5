"""A device for the doctor's tests: all of it real on loopback, but /proc and /sys, which are a fixture's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cameras import Cameras
from tests.conftest import ROOT, Signed
from tests.integration.agent_peers import AgentProcess, Broker

BOARD = ROOT / "tests" / "fixtures" / "boards" / "generic-x86-64"
COMMAND = [sys.executable, "-m", "agent.cli.main"]
MEMINFO = "MemTotal: 8000000 kB\nMemFree: 5000000 kB\nMemAvailable: 6000000 kB\n"
# What a wheel of the wrong kind does: it is there, and its library cannot be loaded.
BROKEN = """\
import sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "{package}":
            raise ImportError("lib{package}.so: cannot open shared object file")

sys.meta_path.insert(0, Broken())
"""
PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


@dataclass
class Visited:
    """What the doctor said."""

    status: int
    document: dict[str, Any]
    text: str

    def findings(self, result: str = "fail") -> list[tuple[str, dict[str, str]]]:
        return [
            (probe["probe"], finding)
            for probe in self.document["probes"]
            for finding in probe["findings"]
            if finding["result"] == result
        ]


@dataclass
class Place:
    """A site that is well until a fault is planted: change its files and processes."""

    folder: Path
    signed: Signed
    broker: Broker
    cameras: Cameras
    make_broker: Callable[..., Broker]
    stack: ExitStack
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipeline: dict[str, Any] = field(default_factory=dict)
    stream: dict[str, Any] = field(default_factory=dict)
    more: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file = self.folder / "edgeward.toml"
        self.state = self.folder / "state"
        self.socket = self.folder / "control.sock"
        self.root = self.folder / "root"
        self.bundle, self.key = self.folder / "belt.ewb", self.folder / "release.pub"
        shutil.copy(self.signed.bundle, self.bundle)
        shutil.copy(self.signed.key, self.key)
        shutil.copytree(BOARD, self.root)
        self.put("proc/meminfo", MEMINFO)
        self.put("proc/pressure/memory", PRESSURE)
        self.put("proc/sys/kernel/osrelease", "6.1.0\n")
        self.put("run/systemd/timesync/synchronized", "")
        self.config = {
            "device": {"id": "dev", "state_dir": "state"},
            "mqtt": {"url": self.broker.url},
            "trust": {"release_keys": ["release.pub"], "folder": ""},
            "health": {"metrics_interval_s": 1},
            "control": {"socket": str(self.socket)},
        }
        self.pipeline = {"name": "belt", "bundle": "belt.ewb"}
        self.stream = {"name": "cam", "url": self.cameras.url("cam")}

    def put(self, path: str, text: str) -> Path:
        """Write a file of the simulated machine."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def write(self) -> None:
        """Write the configuration as it is now."""
        text = "".join(table(name, values) for name, values in self.config.items())
        text += table("[pipeline]", self.pipeline) + table("[pipeline.stream]", self.stream) + self.more
        self.file.write_text(text)

    def visit(self, *arguments: str) -> Visited:
        """Have the doctor look; with ``--json``."""
        done = self.command(*arguments, "--json")
        assert done.stdout, done.stderr
        return Visited(done.returncode, json.loads(done.stdout), done.stdout + done.stderr)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        at = ["--config", str(self.file), "--root", str(self.root)]
        command = [*COMMAND, "doctor", *at, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **self.env}
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=self.folder,
        )

    def start_agent(self, path: Path | None = None) -> AgentProcess:
        """A real agent with the configuration; it ends with the test."""
        agent = AgentProcess([*COMMAND, "agent", "--config", str(path or self.file)])
        self.stack.callback(agent.end)
        return agent

    def block_import(self, package: str) -> None:
        """Have every Python that is started from now on find a broken package of that name."""
        folder = self.folder / "broken"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(BROKEN.format(package=package))
        self.env["PYTHONPATH"] = f"{folder}{os.pathsep}{ROOT}"


def table(header: str, values: dict[str, Any]) -> str:
    """A table of TOML: what JSON writes for texts, numbers and lists is TOML as well."""
    return f"[{header}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
