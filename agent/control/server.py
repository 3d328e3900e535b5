"""The control socket of an agent: a gRPC server on a unix socket, for whoever may open that socket."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from grpclib.health.service import OVERALL, Health
from grpclib.reflection.service import ServerReflection

from agent.control import to_its_end
from agent.control.claimed_socket import ClaimedSocket
from agent.control.connections import BoundedServer
from agent.control.guard import Guard
from agent.control.service import ControlService
from agent.control.settings import DEFAULT_SOCKET, Control
from agent.events import EventLog
from agent.redact import Redactor
from runtime.errors import Code, EdgewardError

log = logging.getLogger("control")

STOP_S = 2.0


class ControlServer:
    """Listens from ``start`` to ``stop``. Without a ``socket`` in the settings it does nothing."""

    def __init__(
        self, settings: Control, service: ControlService, *, events: EventLog, redactor: Redactor
    ) -> None:
        self._settings = settings
        self._service = service
        self._guard = Guard(events, redactor)
        self._claim = ClaimedSocket(Path(settings.socket), group=settings.group, mode=settings.permissions)
        self._server: BoundedServer | None = None

    async def start(self) -> None:
        """Serve.

        Raises:
            EdgewardError: as ``ClaimedSocket.open``: the socket is in use, or cannot be made. Where this user
                may not make the usual folder, that is logged and the agent runs without.
        """
        if not self._settings.socket:
            return
        try:
            listening = self._claim.open()
        except EdgewardError as error:
            # Tried out by a user who is neither root nor edgeward: it was not asked for, and cannot be made.
            usual = self._settings.socket == DEFAULT_SOCKET and not Path(DEFAULT_SOCKET).parent.exists()
            if error.code is not Code.SYSTEM_PERMISSION or not usual:
                raise
            log.warning("there is no control socket: %s", error)
            return
        try:
            handlers = ServerReflection.extend([self._service, Health({OVERALL: []})])
            self._server = BoundedServer(handlers)
            self._guard.stand_before(self._server)
            await self._server.start(sock=listening)
        except BaseException:
            listening.close()
            self._claim.close()
            raise
        log.info("listening on %s", self._settings.socket)

    async def stop(self) -> None:
        """Take the socket away and end what is open."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._claim.close()
        server.close()
        try:
            async with asyncio.timeout(STOP_S):
                await server.wait_closed()
        except TimeoutError:
            log.warning("requests on the control socket did not end within %g s", STOP_S)
        await to_its_end.give_up_all()
