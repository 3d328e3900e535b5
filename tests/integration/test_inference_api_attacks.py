"""A program that may ask the models may not cost the cameras their frames, nor the worker its life."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from runtime.serve import wire
from tests.integration.serving_worker import Serving, served
from tests.integration.test_inference_api import SERVICE, brightness, film, pictures, start_of
from tests.integration.triton_calls import triton

pytestmark = pytest.mark.integration

__all__ = ["film"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
# An input without anything in it.
EMPTY_INPUT = b"\x2a\x00"
CLIENTS = 12


@pytest.fixture
def running(film: Path, tmp_path: Path) -> Iterator[Serving]:
    with served(start_of(brightness(tmp_path), film)) as found:
        found.listens()
        yield found


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def statuses(address: str, data: bytes, worker: Serving, seconds: float) -> tuple[set[str], float]:
    """What ``CLIENTS`` that send ``data`` without rest are told, and the most memory meanwhile, in MB."""
    told: set[str] = set()
    until = time.monotonic() + seconds
    most = 0.0

    def ask() -> None:
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = channel.unary_unary(SERVICE + "ModelInfer")
            while time.monotonic() < until:
                try:
                    call(data, timeout=30)
                except grpc.RpcError as error:
                    told.add(error.code().name)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    while time.monotonic() < until:
        most = max(most, memory_mb(worker.worker.process.pid))
        time.sleep(0.02)
    for client in clients:
        client.join()
    return told, most


def test_connections_beyond_the_most_are_closed_and_the_cameras_keep_their_descriptors(
    running: Serving,
) -> None:
    pid = running.worker.process.pid
    before = descriptors(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
    host, _, port = running.address.partition(":")
    opened = []
    try:
        for _ in range(400):
            one = socket.create_connection((host, int(port)), timeout=10)
            opened.append(one)
            one.sendall(PREFACE)
        running.figures(lambda _: True)
        assert before < descriptors(pid) <= before + 64 + 8
    finally:
        for one in opened:
            one.close()
    with triton(running.address) as asks:
        asks.wait_answer("made", pictures(3))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(EMPTY_INPUT * (16 << 19), "RESOURCE_EXHAUSTED", id="larger-than-the-model-takes"),
        pytest.param(EMPTY_INPUT * (wire.MOST_FIELDS + 1), "INVALID_ARGUMENT", id="small-but-unpacks"),
    ],
)
def test_hostile_messages_cost_little_memory_and_no_frames(
    running: Serving, data: bytes, status: str
) -> None:
    before = memory_mb(running.worker.process.pid)
    seconds = 3
    began = time.monotonic()
    told, most = statuses(running.address, data, running, seconds)
    seen = running.results(began, began + seconds)
    assert told == {status}
    assert most < before + 40
    # Of twenty a second; the film begins anew in between, and this machine may be busy.
    assert len(seen) >= 0.5 * 20 * seconds


# Opens more calls than there are threads, sends none of their messages, and says so.
HANGS = """
import sys, threading, grpc
def never():
    threading.Event().wait()
    yield b""
channel = grpc.insecure_channel(sys.argv[1])
calls = [channel.stream_unary(sys.argv[2]).future(never()) for _ in range(14)]
grpc.channel_ready_future(channel).result()
print("open", flush=True)
threading.Event().wait()
"""


def test_a_client_that_hangs_in_the_middle_of_its_requests_is_found_out(running: Serving) -> None:
    command = [sys.executable, "-c", HANGS, running.address, SERVICE + "ModelInfer"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as hanging:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == b"open\n"
        hanging.send_signal(signal.SIGSTOP)
        try:
            with triton(running.address) as asks:
                asks.wait_answer("made", pictures(3), 55)
        finally:
            hanging.kill()
