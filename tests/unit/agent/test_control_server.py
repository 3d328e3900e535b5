"""When an agent runs without its control socket, and when it does not run at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.control import server
from agent.control.claimed_socket import ClaimedSocket
from agent.control.control_grpc import ControlBase
from agent.control.server import ControlServer
from agent.control.settings import Control
from agent.events import EventLog
from agent.redact import Redactor
from runtime.errors import Code, EdgewardError

pytestmark = pytest.mark.unit


class Nothing(ControlBase):
    """A service that nobody asks."""


Nothing.__abstractmethods__ = frozenset()


def start_and_stop(settings: Control) -> bool:
    """Whether it listened."""

    async def run() -> bool:
        service: Any = Nothing()  # type: ignore[abstract]
        control = ControlServer(settings, service, events=EventLog(), redactor=Redactor())
        await control.start()
        listened = bool(settings.socket) and Path(settings.socket).is_socket()
        await control.stop()
        return listened

    return asyncio.run(run())


def refuse(monkeypatch: pytest.MonkeyPatch, code: Code) -> None:
    """What somebody hears who may not write there."""

    def open_(_: ClaimedSocket) -> None:
        raise EdgewardError(code, "not for you")

    monkeypatch.setattr(ClaimedSocket, "open", open_)


def test_it_listens_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    assert start_and_stop(Control(socket=str(path)))
    assert not path.exists()


def test_an_empty_path_means_none() -> None:
    assert not start_and_stop(Control(socket=""))


def test_who_only_tries_it_out_may_do_without_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = str(tmp_path / "missing" / "control.sock")
    monkeypatch.setattr(server, "DEFAULT_SOCKET", usual)
    refuse(monkeypatch, Code.SYSTEM_PERMISSION)
    assert not start_and_stop(Control(socket=usual))


@pytest.mark.parametrize("code", [Code.SYSTEM_PERMISSION, Code.SYSTEM_BUSY])
def test_a_socket_that_was_asked_for_or_prepared_must_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: Code
) -> None:
    monkeypatch.setattr(server, "DEFAULT_SOCKET", str(tmp_path / "control.sock"))
    refuse(monkeypatch, code)
    for path in ("control.sock", "other.sock"):
        with pytest.raises(EdgewardError):
            start_and_stop(Control(socket=str(tmp_path / path)))
