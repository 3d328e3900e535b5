"""What the integration tests of the agent share: coroutine tests, and fixtures of their peers."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.agent_peers import AgentFolder, Broker, Subscriber


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    folder = tmp_path / "broker"
    folder.mkdir()
    running = Broker(folder).start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Makes brokers that do not run yet."""
    made: list[Broker] = []

    def make(extra: str = "", *, anonymous: bool = True) -> Broker:
        folder = tmp_path / f"broker{len(made)}"
        folder.mkdir()
        made.append(Broker(folder, extra, anonymous=anonymous))
        return made[-1]

    yield make
    for item in made:
        item.stop(signal.SIGKILL)


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Subscriber]]:
    """Makes subscribers."""
    made: list[Subscriber] = []

    def make(port: int, topic: str = "ew/1/#", **login: str) -> Subscriber:
        made.append(Subscriber(port, topic, **login))
        return made[-1]

    yield make
    for item in made:
        item.close()


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[AgentFolder]:
    """Agents that run the fake worker; none outlives the test."""
    folder = AgentFolder(tmp_path)
    yield folder
    folder.close()
