"""A worker waits for an agent that is busy, and loses nothing by it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from runtime import ipc
from tests.conftest import ROOT, Signed

pytestmark = pytest.mark.integration


def test_an_agent_that_does_not_read_for_a_while_gets_every_result_afterwards(
    yolox: Signed, test_data: Path, tmp_path: Path
) -> None:
    from runtime.bundle.ingest import ingest_file  # noqa: PLC0415 - the crypto library, for this test only

    bundle = ingest_file(yolox.bundle, [yolox.key], tmp_path / "store")
    film = test_data / "videos" / "one-by-one-person-detection.mp4"
    ours, theirs = socket.socketpair()
    # A small buffer, so that a few results fill it.
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    spec = ipc.StreamSpec(name="s", url=str(film), pacing="every", max_frames=150, reconnect=False)
    start = ipc.Start(
        pipeline="p", bundle_dir=bundle.folder, manifest_sha256=bundle.manifest_sha256, streams=(spec,)
    )
    command = [
        sys.executable,
        "-m",
        "runtime.worker_process",
        "--fd",
        str(theirs.fileno()),
        "--parent",
        str(os.getpid()),
    ]
    worker = subprocess.Popen(command, cwd=ROOT, pass_fds=(theirs.fileno(),))
    theirs.close()
    ours.sendall(ipc.encode(start))
    reader = ipc.FrameReader()
    heard: list[ipc.FromWorker] = []
    while not any(isinstance(one, ipc.Result) for one in heard):
        heard += map(ipc.decode_from_worker, reader.feed(ours.recv(4096)))
    with pytest.raises(
        subprocess.TimeoutExpired
    ):  # busy for longer than the worker waits for messages of ours
        worker.wait(1.5)
    while data := ours.recv(65536):
        heard += map(ipc.decode_from_worker, reader.feed(data))
    ours.close()
    assert worker.wait(10) == 0
    assert [one.frame for one in heard if isinstance(one, ipc.Result)] == list(range(150))
    assert isinstance(heard[-1], ipc.Stopped)
    assert msgspec.structs.asdict(heard[-1])["reason"] == "sources-ended"
