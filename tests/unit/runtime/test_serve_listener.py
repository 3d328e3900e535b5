"""Of what lies where requests shall arrive, what is stale goes; what is alive or no socket is named."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.serve import listener

pytestmark = pytest.mark.unit


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "infer.sock"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_nothing_there_is_well(place: Path) -> None:
    assert listener.clear(f"unix:{place}") == ""


def test_a_socket_that_a_killed_worker_left_is_removed(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
        dead.listen()
    assert place.exists()
    assert listener.clear(f"unix:{place}") == ""
    assert not place.exists()


def test_a_socket_on_which_somebody_answers_is_left_alone(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        assert "another process answers there" in listener.clear(f"unix:{place}")
        assert place.exists()


def test_a_dead_socket_that_may_not_be_removed_is_named_with_what_helps(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    monkeypatch.setattr(Path, "unlink", denied)
    assert "remove it, or restart the pipeline" in listener.clear(f"unix:{place}")


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone_and_named(place: Path, kind: str) -> None:
    if kind == "file":
        place.write_text("a letter")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/nonexistent")
    problem = listener.clear(f"unix:{place}")
    assert str(place) in problem
    assert "something that is no socket stands there; remove it" in problem
    assert os.path.lexists(place)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "there is no folder" in listener.clear(f"unix:{tmp_path}/none/infer.sock")


def test_a_port_that_is_taken_is_named_with_the_reason(taken_port: int) -> None:
    problem = listener.clear(f"127.0.0.1:{taken_port}")
    assert problem == f"cannot listen at 127.0.0.1:{taken_port}: Address already in use"


def test_an_address_that_this_host_lacks_is_named() -> None:
    assert "cannot listen at [::2]:8001" in listener.clear("[::2]:8001")


def test_sockets_are_for_owner_and_group_from_their_first_moment(place: Path) -> None:
    before = os.umask(0o022)
    try:
        with listener.permissions(), socket.socket(socket.AF_UNIX) as made:
            made.bind(str(place))
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
