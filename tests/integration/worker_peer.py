"""A real worker process, spoken to over its socket: what the agent would be."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from runtime import ipc
from runtime.bundle.ingest import ingest_file
from tests.conftest import ROOT, Signed


def start_message(
    signed: Signed, store: Path, streams: tuple[ipc.StreamSpec, ...], **more: object
) -> ipc.Start:
    """``Start`` for a signed bundle, verified into ``store`` first."""
    bundle = ingest_file(signed.bundle, [signed.key], store)
    return ipc.Start(
        pipeline="p",
        bundle_dir=bundle.folder,
        manifest_sha256=bundle.manifest_sha256,
        streams=streams,
        **more,  # type: ignore[arg-type]
    )


class Worker:
    """A worker at work. Use it as a context: it is killed at the end."""

    def __init__(self, start: ipc.Start, *, environment: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "runtime.worker_process",
                    "--fd",
                    str(number),
                    "--parent",
                    str(os.getpid()),
                ],
                cwd=ROOT,
                pass_fds=(number,),
                env={**os.environ, **(environment or {})},
            )
        self._reader = ipc.FrameReader()
        self._arrived: list[bytes] = []
        self._ours.sendall(ipc.encode(start))

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self.process.kill()
        self.process.wait()

    def say(self, message: ipc.ToWorker) -> None:
        """Tell it something."""
        self._ours.sendall(ipc.encode(message))

    def messages(self, within_s: float = 60.0) -> Iterator[ipc.FromWorker]:
        """What it says, until it has ended; ``TimeoutError`` when it is silent for too long."""
        self._ours.settimeout(within_s)
        while True:
            while self._arrived:
                yield ipc.decode_from_worker(self._arrived.pop(0))
            data = self._ours.recv(65536)
            if not data:
                return
            self._arrived += self._reader.feed(data)

    def until(self, wanted: Callable[[ipc.FromWorker], bool], within_s: float = 60.0) -> list[ipc.FromWorker]:
        """All messages up to the first one that is ``wanted``.

        Raises:
            AssertionError: it said ``Fatal`` or ended before.
            TimeoutError: it did not come in time.
        """
        deadline = time.monotonic() + within_s
        heard: list[ipc.FromWorker] = []
        for message in self.messages(within_s):
            heard.append(message)
            if wanted(message):
                return heard
            assert not isinstance(message, ipc.Fatal), message
            if time.monotonic() > deadline:
                raise TimeoutError(heard[-3:])
        raise AssertionError(f"the worker ended; its last words: {heard[-3:]}")
