"""sd_notify with a real socket, by path and abstract."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from agent.state_lock import StateLock
from agent.systemd import Notifier
from runtime.errors import EdgewardError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("abstract", [False, True])
def test_states_arrive(tmp_path: Path, abstract: bool) -> None:
    name = f"edgeward-test-{os.getpid()}" if abstract else str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name if abstract else name})
        notifier.ready()
        notifier.status("two\nlines")
        notifier.watchdog()
        notifier.status("two\nlines")
        notifier.extend(1.5)
        notifier.stopping()
        notifier.close()
        got = [server.recv(100).decode() for _ in range(5)]
    assert got == ["READY=1", "STATUS=two lines", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=1500000", "STOPPING=1"]


def test_a_reload_tells_its_time_in_the_same_message(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "s"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "s")})
        before = time.monotonic_ns() // 1000
        notifier.reloading()
        state, at = server.recv(100).decode().split("\n")
        notifier.close()
    assert state == "RELOADING=1"
    assert before <= int(at.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_ready_is_not_lost_while_the_manager_is_busy_and_the_watchdog_does_not_wait(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "s"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "s")})
        server.setblocking(False)
        sent = 0
        began = time.monotonic()
        while sent < 5000:  # more than any queue of the kernel's holds
            notifier.watchdog()
            sent += 1
        assert time.monotonic() - began < 5
        reader = threading.Timer(0.2, lambda: [server.recv(100) for _ in range(3)])
        reader.start()
        notifier.ready()
        reader.join()
        got = []
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(server.recv(100))
        notifier.close()
    assert got[-1] == b"READY=1"


def test_without_a_service_manager_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": "junk"}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        notifier = Notifier(environment)
        notifier.ready()
        notifier.close()
        notifier.ready()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "junk"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_time_is_this_process_s_own(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog_s == seconds


def test_the_lock_names_its_owner_and_is_free_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with StateLock(folder), pytest.raises(EdgewardError, match=f"process {os.getpid()}"):
        StateLock(folder).__enter__()
    with StateLock(folder):
        pass


def test_a_status_that_was_not_taken_is_said_again(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "s"))
        manager.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "s")})
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, contextlib.suppress(BlockingIOError):
            others.setblocking(False)
            while True:  # until its queue is full
                others.sendto(b"x", str(tmp_path / "s"))
        notifier.status("3 of 4 pipelines run")
        with contextlib.suppress(BlockingIOError):
            while manager.recv(100) == b"x":
                continue
        notifier.status("3 of 4 pipelines run")
        assert manager.recv(100) == b"STATUS=3 of 4 pipelines run"
        notifier.close()


def test_a_full_disk_keeps_no_agent_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with StateLock(tmp_path), pytest.raises(EdgewardError, match="another agent"):
        StateLock(tmp_path).__enter__()
