"""A client of an agent's control socket, for tests that are no coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.control import control_pb2 as pb
from agent.control.client import Blocking
from agent.control.connections import BoundedServer
from tests.integration.agent_peers import AgentProcess


@contextmanager
def connected(folder: Path, agent: AgentProcess | None = None, seconds: float = 15) -> Iterator[Blocking]:
    """A client of the agent whose configuration lies in ``folder``, once it listens."""
    if agent is not None:
        agent.wait_line("control: listening on", seconds)
    with Blocking(folder / "control.sock") as client:
        yield client


def wait_status(client: Blocking, fits: Callable[[pb.Status], bool], seconds: float = 20) -> pb.Status:
    """The first status that fits."""
    deadline = time.monotonic() + seconds
    status = None
    for status in client.each(lambda one: one.watch_status(interval_s=0.2)):
        if fits(status):
            return status
        if time.monotonic() > deadline:
            break
    raise AssertionError(f"no such status; the last was\n{status}")


class Serving:
    """The agent's gRPC server with a service of the test's own, in a thread of its own."""

    def __init__(self, path: Path, service: Any) -> None:
        self._path, self._service = path, service
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        server = BoundedServer([self._service])
        await server.start(path=str(self._path))
        self._ready.set()
        await self._end.wait()
        server.close()
        await server.wait_closed()

    def end(self) -> None:
        """Close it and every connection; safe to call twice."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
