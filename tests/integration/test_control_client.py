"""The client of the control socket against agents that are old, hang or go away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.health.service import Health

from agent.control import connections
from agent.control import control_pb2 as pb
from agent.control.client import Blocking, socket_path
from agent.control.control_grpc import ControlBase
from runtime.errors import Code, EdgewardError
from tests.integration.control_peer import Serving

pytestmark = pytest.mark.integration


class Hanging(ControlBase):
    """Answers nothing; tells one event and then nothing more."""

    async def GetStatus(self, stream: Any) -> None:  # noqa: N802 - of the service
        """Hang."""
        await asyncio.Event().wait()

    async def GetEvents(self, stream: Any) -> None:  # noqa: N802
        """One, and then hang."""
        await stream.send_message(pb.Event(kind="first"))
        await asyncio.Event().wait()


Hanging.__abstractmethods__ = frozenset()


@pytest.fixture(name="path")
def path_of_the_socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture(name="hanging")
def agent_that_hangs(path: Path) -> Iterator[Serving]:
    serving = Serving(path, Hanging())  # type: ignore[abstract]
    yield serving
    serving.end()


def refusal(path: Path, call: Any) -> EdgewardError:
    with Blocking(path) as client, pytest.raises(EdgewardError) as caught:
        client.run(call)
    return caught.value


def test_an_agent_that_hangs_is_given_up_in_time(hanging: Serving, path: Path) -> None:
    error = refusal(path, lambda c: c.get_status(timeout_s=0.3))
    assert error.code is Code.CONTROL_TIMEOUT
    assert str(path) in error.where


def test_an_agent_that_knows_less_is_named_as_older(path: Path) -> None:
    serving = Serving(path, Health())
    try:
        error = refusal(path, lambda c: c.get_status())
        assert error.code is Code.CONTROL_UNIMPLEMENTED
        assert "systemctl restart edgeward" in error.remedy
    finally:
        serving.end()


def test_an_agent_that_goes_away_ends_what_is_followed(hanging: Serving, path: Path) -> None:
    with Blocking(path) as client:
        following = client.each(lambda c: c.get_events(follow=True))
        assert next(following).kind == "first"
        hanging.end()
        with pytest.raises(EdgewardError) as caught:
            next(following)
    assert caught.value.code is Code.CONTROL_UNAVAILABLE


def test_what_listens_there_and_is_no_agent_is_given_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def talk() -> None:
            with other.accept()[0] as client:
                client.recv(1000)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
                client.recv(1000)

        thread = threading.Thread(target=talk)
        thread.start()
        error = refusal(path, lambda c: c.get_status(timeout_s=1))
        # The former when it speaks before it is asked: grpclib then waits for an answer that cannot come.
        assert error.code in {Code.CONTROL_TIMEOUT, Code.CONTROL_UNAVAILABLE}
        thread.join(10)


def test_the_socket_is_the_options_else_the_environments_else_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EDGEWARD_SOCKET", raising=False)
    assert socket_path() == Path("/run/edgeward/control.sock")
    monkeypatch.setenv("EDGEWARD_SOCKET", "/run/other.sock")
    assert socket_path() == Path("/run/other.sock")
    assert socket_path("/run/third.sock") == Path("/run/third.sock")


class Flooding(ControlBase):
    """Tells more than anybody reads, and when it was made to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    async def GetEvents(self, stream: Any) -> None:  # noqa: N802
        """Without end."""
        try:
            while True:
                await stream.send_message(pb.Event(kind="flood", text="x" * 50_000))
        finally:
            self.stopped.set()


Flooding.__abstractmethods__ = frozenset()


def test_a_client_that_takes_nothing_is_sent_away_and_others_are_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STUCK_S", 0.5)
    service = Flooding()  # type: ignore[abstract]
    serving = Serving(path, service)
    try:
        with Blocking(path) as hung, Blocking(path) as reader:
            # Nothing runs this client's loop after the first message: its socket fills up.
            assert next(hung.each(lambda c: c.get_events(follow=True))).kind == "flood"
            assert service.stopped.wait(20)
            service.stopped.clear()
            following = reader.each(lambda c: c.get_events(follow=True))
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                assert next(following).kind == "flood"
            assert not service.stopped.is_set()
    finally:
        serving.end()


def test_of_too_many_busy_connections_the_newest_is_refused(path: Path) -> None:
    serving = Serving(path, Hanging())  # type: ignore[abstract]
    try:
        with contextlib.ExitStack() as stack:
            following = []
            for _ in range(connections.MOST_CONNECTIONS):
                client = stack.enter_context(Blocking(path))
                following.append(client.each(lambda c: c.get_events(follow=True)))
                assert next(following[-1]).kind == "first"
            error = refusal(path, lambda c: c.get_status(timeout_s=1))
            assert error.code in {Code.CONTROL_TIMEOUT, Code.CONTROL_UNAVAILABLE}
        # Those have left: there is room again.
        with Blocking(path) as late:
            assert next(late.each(lambda c: c.get_events(follow=True))).kind == "first"
    finally:
        serving.end()
