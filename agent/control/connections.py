"""Connections to the control socket: who is at the other end, and how much each may take.

grpclib has flow control and no limits; these are the limits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import ContextVar
from typing import Any

from grpclib.config import Configuration
from grpclib.protocol import H2Protocol
from grpclib.protocol import Stream as H2Stream
from grpclib.server import Server
from h2.events import DataReceived

from agent.control.claimed_socket import Peer, peer_of
from agent.control.own_workers import is_own_worker

log = logging.getLogger("control")

MOST_CONNECTIONS = 32
# Requests hold a few names; what is longer is none of ours.
MOST_REQUEST_BYTES = 256 << 10
WINDOW_BYTES = 64 << 10
# h2 lets no more than 100 be open; beyond are those that were taken back before they began.
MOST_STREAMS = 200
# Frames of one byte keep within the window and cost a hundred times as much.
MOST_UNREAD_FRAMES = 1024
# What is taken of a connection in one turn of the loop: 20 bytes of it may cost a tenth of a millisecond.
TURN_BYTES = 4096
# A turn that took longer than so many seconds is followed by a pause three times as long.
LONG_TURN_S = 0.002

# A client that takes nothing for so long has hung; it is sent away.
STUCK_S = 60.0

# Of the request that is being answered. A request's task inherits what was set when its headers came.
_peer: ContextVar[Peer | None] = ContextVar("peer", default=None)


def peer_of_request() -> Peer | None:
    """Who asks, for the task that answers."""
    return _peer.get()


class Connection(H2Protocol):
    """One client's connection."""

    def __init__(self, server: BoundedServer, inner: H2Protocol) -> None:
        super().__init__(inner.handler, inner.config, inner.h2_config)
        self._server = server
        self.peer: Peer | None = None
        self.heard_at = time.monotonic()
        # grpclib lets go of it when it closes, which is before all is sent.
        self._transport: asyncio.Transport | None = None
        self._untaken = bytearray()
        self._next_turn: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is open."""
        return not self.processor.streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is; refuse it when there are too many."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a socket
        self._transport = transport
        # grpclib takes an empty frame for the end of the request, and keeps any number of them.
        self.processor.processors[DataReceived] = self._take_data
        self.peer = peer_of(transport.get_extra_info("socket"))
        if is_own_worker(self.peer):
            self._server.tell_of_worker(self.peer)
            self.close()
        elif not self._server.admit(self):
            log.warning("%d connections are open: one more is refused (%s)", MOST_CONNECTIONS, self.peer)
            self.close()

    def data_received(self, data: bytes) -> None:
        """Take it, a little in each turn: a flood of small frames holds up nobody else."""
        self.heard_at = time.monotonic()
        self._untaken += data
        if self._next_turn is None:
            self._take_turn()

    def _take_turn(self) -> None:
        """Feed the protocol; nothing that comes in may do more than end this connection."""
        self._next_turn = None
        transport = self._transport
        if transport is None or transport.is_closing():
            self._untaken.clear()
            return
        began = time.monotonic()
        data = bytes(self._untaken[:TURN_BYTES])
        del self._untaken[:TURN_BYTES]
        _peer.set(self.peer)
        try:
            super().data_received(data)
        except Exception as error:
            log.warning("closing a connection that talks nonsense (%s): %s", self.peer, type(error).__name__)
            self.close()
            return
        if transport.is_closing():
            if transport.get_write_buffer_size():
                self.close()  # what waits for a client that does not read would keep it for ever
        elif why := self._too_much():
            log.warning("closing a connection %s (%s)", why, self.peer)
            self.close()
        else:
            self._plan(time.monotonic() - began)

    def _plan(self, took_s: float) -> None:
        """Read no more before what came is taken, and before what was answered is."""
        pause_s = 3 * took_s if took_s > LONG_TURN_S else 0.0
        if self._stuck is None and (self._untaken or pause_s):
            self._next_turn = asyncio.get_running_loop().call_later(pause_s, self._take_turn)
        self._read_or_not()

    def _read_or_not(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._next_turn is not None or self._stuck is not None:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _take_data(self, event: Any) -> None:
        if event.flow_controlled_length:
            self.processor.process_data_received(event)

    def _too_much(self) -> str:
        streams = self.processor.streams
        if len(streams) > MOST_STREAMS:
            return "that takes its requests back as it makes them"
        too_long = any(map(_long, streams.values()))
        return f"whose request is over {MOST_REQUEST_BYTES} bytes" if too_long else ""

    def pause_writing(self) -> None:
        """The client does not read; what it asked for waits, for a while."""
        super().pause_writing()
        self._stuck = asyncio.get_running_loop().call_later(STUCK_S, self._give_up)
        self._read_or_not()

    def resume_writing(self) -> None:
        """It reads again."""
        self._not_stuck()
        super().resume_writing()
        if self._next_turn is None:
            self._plan(0.0)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client went away."""
        self._not_stuck()
        self._server.forget(self)
        super().connection_lost(exc)

    def close(self) -> None:
        """End it and every request on it, at once: a client that does not read keeps nothing alive."""
        self._not_stuck()
        self._server.forget(self)
        self.processor.close("closed by the agent")
        if self._transport is not None:
            self._transport.abort()

    def _give_up(self) -> None:
        log.warning("closing a connection that has read nothing for %g s (%s)", STUCK_S, self.peer)
        self.close()

    def _not_stuck(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


def _long(stream: H2Stream) -> bool:
    """Whether a request is longer than any of ours."""
    unread: int = stream.buffer._unacked.qsize()  # noqa: SLF001 - grpclib has no bound for it
    return stream.data_received > MOST_REQUEST_BYTES or unread > MOST_UNREAD_FRAMES


class BoundedServer(Server):
    """A gRPC server with at most ``MOST_CONNECTIONS`` connections."""

    def __init__(self, handlers: list[Any]) -> None:
        config = Configuration(
            http2_connection_window_size=WINDOW_BYTES, http2_stream_window_size=WINDOW_BYTES
        )
        super().__init__(handlers, config=config)
        # It tells of each client that went away, and has a traceback for each bad header: no news here.
        logging.getLogger("grpclib").setLevel(logging.CRITICAL)
        self._open: set[Connection] = set()
        self._tell_again_at = 0.0

    def admit(self, connection: Connection) -> bool:
        """Whether there is room. The one that has been idle longest makes room, if any is idle."""
        if len(self._open) >= MOST_CONNECTIONS:
            idle = [item for item in self._open if item.idle]
            if not idle:
                return False
            min(idle, key=lambda item: item.heard_at).close()
        self._open.add(connection)
        return True

    def tell_of_worker(self, peer: Peer) -> None:
        """One of the agent's workers was refused; told once a minute, however often it tries."""
        if time.monotonic() >= self._tell_again_at:
            self._tell_again_at = time.monotonic() + 60
            log.warning("a worker wants to use the control socket, which is not for it (%s)", peer)

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)

    def close(self) -> None:
        """Accept no more, and end all requests and connections."""
        super().close()
        for connection in list(self._open):
            connection.close()

    def _protocol_factory(self) -> Connection:
        return Connection(self, super()._protocol_factory())
