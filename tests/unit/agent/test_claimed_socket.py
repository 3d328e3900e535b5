"""A socket's path is taken from the dead and never from the living."""

from __future__ import annotations

import grp
import multiprocessing
import os
import socket
import stat
from pathlib import Path

import pytest

from agent.control import settings
from agent.control.claimed_socket import ClaimedSocket
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


def left_behind(path: Path) -> None:
    """The socket file of a process that was killed."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def test_it_listens_with_its_mode_in_a_folder_that_others_cannot_look_into(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    claim = ClaimedSocket(path, mode=0o600)
    with claim.open() as listening:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listening.accept()[0].close()
    claim.close()
    assert not path.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder to any group")
def test_the_folder_that_it_makes_is_for_its_group(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    claim = ClaimedSocket(path, group="daemon")
    claim.open().close()
    claim.close()
    assert path.parent.stat().st_gid == grp.getgrnam("daemon").gr_gid


def test_a_stale_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    left_behind(path)
    left_behind(tmp_path / "control.sock~")
    claim = ClaimedSocket(path)
    with claim.open(), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    claim.close()
    assert not path.exists()


def test_a_socket_in_use_is_refused_with_the_process_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(EdgewardError) as caught:
            ClaimedSocket(path).open()
        assert caught.value.code is Code.SYSTEM_BUSY
        assert str(os.getpid()) in caught.value.what
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "control.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        left_behind(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
    before = path.lstat()
    with pytest.raises(EdgewardError) as caught:
        ClaimedSocket(path).open()
    assert caught.value.code is Code.CONTROL_SOCKET
    assert path.lstat().st_ino == before.st_ino
    # It let go of the path: whoever mends it can start at once.
    path.rename(tmp_path / "away")
    claim = ClaimedSocket(path)
    claim.open().close()
    claim.close()


def test_only_its_own_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    claim = ClaimedSocket(path)
    with claim.open():
        path.unlink()
        path.write_text("somebody else's")
        claim.close()
    assert path.read_text() == "somebody else's"


def test_an_unknown_group_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgewardError) as caught:
        ClaimedSocket(tmp_path / "control.sock", group="no-such-group").open()
    assert caught.value.code is Code.CONFIG_VALUE
    assert "no-such-group" in caught.value.what
    assert list(tmp_path.glob("control.sock*")) == [tmp_path / "control.sock.lock"]


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    with pytest.raises(EdgewardError) as caught:
        ClaimedSocket(path).open()
    assert caught.value.code is Code.CONTROL_SOCKET
    assert "shorter" in caught.value.remedy
    with pytest.raises(EdgewardError) as caught:
        settings.check(settings.Control(socket=str(path)), "edgeward.toml")
    assert "control.socket" in caught.value.where


@pytest.mark.parametrize("mode", ["0666", "777", "rw", "0661", "-660", ""])
def test_a_mode_that_lets_others_in_is_refused(mode: str) -> None:
    with pytest.raises(EdgewardError) as caught:
        settings.check(settings.Control(mode=mode), "edgeward.toml")
    assert caught.value.where == "edgeward.toml: control.mode"


def test_of_many_that_find_it_stale_at_once_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    left_behind(path)
    context = multiprocessing.get_context("fork")
    go, stop, results = context.Event(), context.Event(), context.Queue()

    def race() -> None:
        go.wait()
        claim = ClaimedSocket(path)
        try:
            listening = claim.open()
        except EdgewardError:
            results.put(0)
            return
        results.put(os.getpid())
        stop.wait()
        listening.close()

    racers = [context.Process(target=race) for _ in range(12)]
    for racer in racers:
        racer.start()
    go.set()
    winners = [pid for pid in (results.get(timeout=30) for _ in racers) if pid]
    try:
        assert len(winners) == 1
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    finally:
        stop.set()
        for racer in racers:
            racer.join(30)
