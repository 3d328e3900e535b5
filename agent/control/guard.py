"""What stands before every request: who asks is written down, and what goes wrong gets a typed answer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from grpclib.const import Status
from grpclib.events import RecvRequest, listen
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.server import Server, Stream

from agent.control import failure
from agent.control.connections import peer_of_request
from agent.events import EventLog
from agent.redact import Redactor
from runtime.errors import Code, EdgewardError

log = logging.getLogger("control")

# What changes something is told to whoever reads the events.
CHANGING = {
    "StartPipeline": "a pipeline's start",
    "StopPipeline": "a pipeline's stop",
    "RestartPipeline": "a pipeline's restart",
    "Reload": "a reload of the configuration",
    "Drain": "a drain",
    "InstallBundle": "the installation of a bundle",
    "RollbackBundle": "a bundle's rollback",
}
# Requests that stay open as long as the client likes.
LASTING = frozenset({"WatchStatus", "GetEvents", "GetLogs", "ServerReflectionInfo", "Watch"})
MOST_LASTING = 64
MOST_REQUESTS = 128

_Method = Callable[[Stream[Any, Any]], Awaitable[None]]


class Guard:
    """Wraps the methods of a server."""

    def __init__(self, events: EventLog, redactor: Redactor) -> None:
        self._events = events
        self._redactor = redactor
        self._open = 0
        self._lasting = 0

    def stand_before(self, server: Server) -> None:
        """Guard each request to ``server``."""
        listen(server, RecvRequest, self._on_request)

    async def _on_request(self, event: RecvRequest) -> None:
        name = event.method_name.rpartition("/")[2]
        event.method_func = functools.partial(self._answer, event.method_func, name)

    async def _answer(self, method: _Method, name: str, stream: Stream[Any, Any]) -> None:
        lasting = name in LASTING
        self._open += 1
        self._lasting += lasting
        try:
            self._check_room(lasting=lasting)
            self._note(name)
            await method(stream)
        except EdgewardError as error:
            await self._refuse(stream, error)
        except (GRPCError, StreamTerminatedError):
            raise
        except Exception as error:
            log.exception("%s: a defect in edgeward", name)
            what = f"a defect in edgeward: {type(error).__name__}"
            await self._refuse(stream, EdgewardError(Code.INTERNAL, what, remedy="please report it"))
        finally:
            self._open -= 1
            self._lasting -= lasting

    def _check_room(self, *, lasting: bool) -> None:
        if self._open > MOST_REQUESTS or (lasting and self._lasting > MOST_LASTING):
            remedy = "close what follows events, logs or the status, and try again"
            raise EdgewardError(Code.CONTROL_BUSY, "too many requests are open", remedy=remedy)

    def _note(self, name: str) -> None:
        what = CHANGING.get(name)
        if what is not None:
            text = f"{what} was asked for by {peer_of_request()}"
            log.info("%s", text)
            self._events.add("control.request", text)

    async def _refuse(self, stream: Stream[Any, Any], error: EdgewardError) -> None:
        safe = EdgewardError(
            error.code,
            self._redactor(error.what),
            where=self._redactor(error.where),
            remedy=self._redactor(error.remedy),
        )
        status = failure.status_of(safe.code)
        assert status is not Status.OK  # noqa: S101 - the table has none
        await stream.send_trailing_metadata(
            status=status, status_message=safe.what, metadata=failure.metadata_of(safe)
        )
