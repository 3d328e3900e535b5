"""Real RTSP cameras for tests: GStreamer's server in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "examples" / "rtsp" / "server.py"


class Cameras:
    """A running RTSP server; a context manager that leaves nothing behind.

    Args:
        mounts: name of each camera and its recording (``.aus``).
        options: more options of ``examples/rtsp/server.py``.
        port: 0 for a free one; it stays the same over ``stop`` and ``start``.
    """

    def __init__(self, mounts: dict[str, Path], *options: str, port: int = 0) -> None:
        self._mounts = mounts
        self._options = options
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start serving; returns once the port answers."""
        command = ["/usr/bin/python3", str(SERVER), "--port", str(self.port), *self._options]
        for name, recording in self._mounts.items():
            command += ["--mount", f"{name}={recording}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the RTSP server ended before it was ready"
        self.port = json.loads(line)["port"]

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Pull the cable: the server is gone with its connections."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Freeze or thaw it: ``SIGSTOP``, ``SIGCONT``."""
        assert self._process is not None
        self._process.send_signal(number)

    def url(self, name: str, login: str = "") -> str:
        """The address of a camera."""
        return f"rtsp://{login + '@' if login else ''}127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Cameras:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
