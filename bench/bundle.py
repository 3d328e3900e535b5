"""Verifying and storing a bundle against ``sha256sum``, ``cp`` and ``sync`` of the same file.

The contender is the agent's own child process from its start to its answer: interpreter, crypto library,
signature, digests of files and blocks, staging, and the bytes on the disk. What it is held against are three
programs in C that check and copy the file's bytes and believe whatever they are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Rounds, interleave
from bench.models import ROOT
from runtime.bundle.keys import generate, public_pem
from runtime.bundle.pack import pack
from runtime.bundle.sign import sign_bundle

MB = 1_000_000
TOML = """\
[bundle]
name = "bench"
version = "1.0.0"
release_counter = 1

[[variant]]
id = "cpu"
engine = "onnxruntime"
file = "model.onnx"
input = [{ name = "images", dtype = "float32", shape = [1, 3, 32, 32] }]
output = [{ name = "output", dtype = "float32", shape = [1, 7] }]

[preprocess]

[postprocess]
decoder = "tensors"
"""
# Runs a command and prints its cost. Small itself: a child begins with its parent's memory on its account.
LAUNCHER = """\
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


@dataclass(frozen=True)
class Outcome:
    """Seconds by the clock and of CPU, round by round, and the child's peak memory by the bundle's size."""

    wall: Rounds
    cpu: Rounds
    child_mb: dict[str, float]


class Contest:
    """One bundle, and what is done with it again and again in a folder of its own."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.bundle = folder / f"{megabytes}.ewb"
        self._key = folder / f"{megabytes}.pub"
        self._out = folder / "out"
        self.cpu: dict[str, list[float]] = {}
        self.peak_mb = 0.0
        author = folder / f"author-{megabytes}"
        author.mkdir()
        (author / "bundle.toml").write_text(TOML)
        with (author / "model.onnx").open("wb") as stream:
            for _ in range(megabytes):
                stream.write(os.urandom(MB))
        pack(author, self.bundle)
        shutil.rmtree(author)
        key = generate()
        sign_bundle(self.bundle, key)
        self._key.write_bytes(public_pem(key.public_key()))

    def ingest(self) -> float:
        """Verify and store it as the agent does; seconds by the clock."""
        command = [sys.executable, "-P", "-s", "-m", "runtime.bundle.ingest", f"--bundle={self.bundle}"]
        seconds = self._timed("ingest", [*command, f"--key={self._key}", f"--into={self._out}"])
        stored = next(self._out.iterdir()) / "model.onnx"
        assert stored.stat().st_size > self.bundle.stat().st_size * 0.9
        return seconds

    def copy(self) -> float:
        """Check sum, copy and bring to the disk; seconds by the clock."""
        script = 'sha256sum "$0" && cp "$0" "$1" && sync "$1"'
        return self._timed("copy", ["sh", "-c", script, str(self.bundle), str(self._out / self.bundle.name)])

    def _timed(self, name: str, command: Sequence[str]) -> float:
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir()
        os.sync()  # nobody is to wait for what another one left
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
        began = time.perf_counter()
        done = subprocess.run(launched, env=environment, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
        status, cpu, peak_kb = json.loads(done.stdout)
        assert status == 0, command
        self.cpu.setdefault(name, []).append(cpu)
        if name == "ingest":
            self.peak_mb = max(self.peak_mb, peak_kb * 1024 / MB)
        return seconds


def run(folder: Path, rounds: int) -> Outcome:
    """A bundle of 100 MB in turns, and one of 1 GB once for its memory.

    Args:
        folder: on a real disk, with room for 3 GB.
        rounds: rounds that count.
    """
    contest = Contest(folder, 100)
    wall = interleave({"ingest": contest.ingest, "copy": contest.copy}, rounds)
    cpu = Rounds({name: seconds[1:] for name, seconds in contest.cpu.items()})
    large = Contest(folder, 1000)
    large.ingest()
    return Outcome(wall, cpu, {"100 MB": contest.peak_mb, "1 GB": large.peak_mb})
