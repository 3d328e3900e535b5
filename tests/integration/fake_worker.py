"""A worker that speaks ``runtime.ipc`` and misbehaves as told by the name of its pipeline's bundle folder.

The real worker cannot be asked to hang, to crash or to send garbage; this one can. ``bundle_dir`` of the
start message names a behaviour, or a file that names it (so that a test changes it between restarts).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

from runtime import ipc
from runtime.findings import (
    Classified,
    Detection,
    Findings,
    Inside,
    Keypoint,
    Mask,
    Segmentation,
    Tensor,
)

SEEN = Findings(detections=(Detection("thing", 0.9, (1.0, 2.0, 3.0, 4.0)),))
EVERYTHING = Findings(
    detections=(
        Detection(
            "thing",
            0.9,
            (1.0, 2.0, 3.0, 4.0),
            keypoints=(Keypoint("nose", 1.5, 2.5, 0.8),),
            mask=Mask((1.0, 2.0, 3.0, 4.0), 2, 2, (1, 3)),
            inside=(Inside("kind", Findings(classes=(Classified("scratch", 0.75),))),),
        ),
    ),
    classes=(Classified("street", 0.5),),
    segmentation=Segmentation(
        box=(0.0, 0.0, 640.0, 480.0), width=2, height=1, runs=((0, 1), (-1, 1)), shares={"road": 0.5}
    ),
    embedding=(0.6, 0.8),
    tensors=(Tensor(name="out", dtype="int16", shape=(2,), data=b"\x01\x00\x02\x00"),),
)


def number(behaviour: str, name: str) -> float:
    """The number after ``name=``."""
    return float(behaviour.partition(f"{name}=")[2].partition(" ")[0])


class FakeWorker:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.frames = ipc.FrameReader()
        self.lock = threading.Lock()
        self.pending: list[bytes] = []

    def send(self, message: ipc.FromWorker) -> None:
        with self.lock:
            self.sock.sendall(ipc.encode(message))

    def next_message(self, timeout: float | None) -> ipc.ToWorker | None:
        while not self.pending:
            ready, _, _ = select.select([self.sock], [], [], timeout)
            if not ready:
                return None
            data = self.sock.recv(65536)
            if not data:
                sys.exit(0)
            self.pending += self.frames.feed(data)
        message = ipc.decode_to_worker(self.pending.pop(0))
        if isinstance(message, ipc.SetRate):
            os.write(1, f"fake worker: rate {message.factor}\n".encode())
        return message

    def ready(self) -> None:
        self.send(
            ipc.Ready(
                bundle="fake",
                version="1.0.0",
                variant="fake-float32",
                engine="fake",
                provider="none",
                load_ms=1,
                labels=("thing",),
                batch=4,
            )
        )

    def run(self, start: ipc.Start, behaviour: str) -> int:
        fps = 20.0
        if "fps=" in behaviour:
            fps = number(behaviour, "fps")
        self.ready()
        for stream in start.streams:
            self.send(
                ipc.StreamChanged(
                    stream=stream.name,
                    state="running",
                    mono_ns=time.monotonic_ns(),
                    codec="h264",
                    width=640,
                    height=480,
                    declared_fps=fps,
                )
            )
        if "burst=" in behaviour:
            for index in range(int(number(behaviour, "burst"))):
                self.result(start.streams[0].name, index, behaviour)
            behaviour += " no-results"
            # Metrics are handled in order: once the agent has taken these, it has taken the burst.
            self.metrics(start, 0)
            os.write(1, b"the burst is out\n")
        began = time.monotonic()
        next_metrics = began
        frame = 0
        while True:
            now = time.monotonic()
            if now >= next_metrics:
                next_metrics = now + 1
                self.metrics(start, frame)
            silent = "silent-after=" in behaviour and now - began > number(behaviour, "silent-after")
            if not silent and "no-results" not in behaviour:
                for stream in start.streams:
                    self.result(stream.name, frame, behaviour)
                frame += 1
            if "crash-after=" in behaviour and frame >= number(behaviour, "crash-after"):
                os.kill(os.getpid(), signal.SIGSEGV)
            wait = max(0.0, began + frame / fps - time.monotonic()) if not silent else 0.05
            message = self.next_message(wait if "no-results" not in behaviour else 0.05)
            if isinstance(message, ipc.Stop):
                if "ignore-stop" in behaviour:
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    continue
                self.send(ipc.Stopped(reason="stop"))
                return 0

    def result(self, stream: str, frame: int, behaviour: str) -> None:
        now = time.monotonic_ns()
        found = Findings() if "empty" in behaviour else SEEN
        if "everything" in behaviour:
            found = EVERYTHING
        if "huge-tensor" in behaviour:
            found = Findings(
                tensors=(Tensor(name="out", dtype="uint8", shape=(1 << 20,), data=bytes(1 << 20)),)
            )
        self.send(
            ipc.Result(
                stream=stream,
                session=0,
                frame=frame,
                pts_s=frame / 20,
                arrived_ns=now,
                done_ns=now,
                width=640,
                height=480,
                detections=found.detections,
                classes=found.classes,
                segmentation=found.segmentation,
                embedding=found.embedding,
                tensors=found.tensors,
            )
        )

    def metrics(self, start: ipc.Start, frame: int) -> None:
        counters = ipc.StreamCounters(decoded=frame, results=frame)
        self.send(
            ipc.Metrics(
                mono_ns=time.monotonic_ns(),
                streams={stream.name: counters for stream in start.streams},
                cpu_s={"decode": 0.1, "infer": 0.2},
                wall_s={"decode": 0.2, "infer": 0.3},
                rss_mb=12.5,
            )
        )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    worker = FakeWorker(socket.socket(fileno=options.fd))
    start = worker.next_message(10)
    assert isinstance(start, ipc.Start)
    named = Path(start.bundle_dir) / "behaviour"
    behaviour = named.read_text() if named.is_file() else start.bundle_dir + _described(start.bundle_dir)
    os.write(1, f"fake worker: {behaviour}\n".encode())
    for stage in start.stages:
        crops = (Path(stage.bundle_dir) / "behaviour").read_text()
        os.write(1, f"stage {stage.name}: {crops} for {', '.join(stage.labels)}\n".encode())
    if start.engine.affinity:
        os.sched_setaffinity(0, start.engine.affinity)
    hang(worker, behaviour)
    if "sources-ended" in behaviour:
        worker.send(ipc.Stopped(reason="sources-ended"))
        return 0
    if "fatal-engine" in behaviour:
        worker.send(ipc.Fatal(code="engine.unavailable", what="no such provider"))
        return 6
    if "fatal" in behaviour:
        worker.send(ipc.Fatal(code="model.load", what="the model is broken", where="model.onnx"))
        return 6
    if "exit=" in behaviour:
        return int(number(behaviour, "exit"))
    if "flood" in behaviour:
        threading.Thread(target=flood, daemon=True).start()
    if "stray" in behaviour:
        stray = os.fork()
        if stray == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
        Path("stray").write_text(str(stray))
    if "child" in behaviour:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        os.write(1, f"child {child}\n".encode())
    return worker.run(start, behaviour)


def _described(folder: str) -> str:
    """What a signed bundle is told to do, by its description."""
    manifest = Path(folder, "manifest.json")
    text = json.loads(manifest.read_text()).get("description", "") if manifest.is_file() else ""
    return f" {text}" if text.startswith("behaviour: ") else ""


def hang(worker: FakeWorker, behaviour: str) -> None:
    """In the ways that only a kill ends."""
    if "burn" in behaviour:
        for _ in itertools.count():  # until it is killed
            pass
    if "never-ready" in behaviour:
        time.sleep(60)
    if "garbage" in behaviour:
        worker.ready()
        worker.sock.sendall(struct.pack(">I", 5) + b"hello")
        time.sleep(60)
    if "long-frame" in behaviour:
        worker.sock.sendall(b"\xff\xff\xff\xff")
        time.sleep(60)


def flood() -> None:
    line = b"x" * 200 + b"\n"
    while True:
        os.write(1, line * 100)


if __name__ == "__main__":
    sys.exit(main())
