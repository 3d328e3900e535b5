"""sd_notify with a real socket, by path and abstract."""

from __future__ import annotations

import os
import socket
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
        notifier.stopping()
        notifier.close()
        got = [server.recv(100).decode() for _ in range(4)]
    assert got == ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]


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
