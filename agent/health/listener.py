"""Serves the figures over HTTP to programs on this device: one page, and no more than that of the protocol.

A reader that is slow, sends nothing or comes a hundred times costs a bounded little: so many connections at
once, so many seconds each, and a text that is made once a second at most.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from agent.control.claimed_socket import ClaimedSocket
from agent.health.openmetrics import OPENMETRICS, PLAIN
from agent.health.settings import Address
from agent.workers.reason import Reason
from runtime.errors import Code, EdgewardError

log = logging.getLogger("metrics")

MOST_CONNECTIONS = 8
MOST_HEAD = 8 << 10
READ_S = 5.0
WRITE_S = 10.0
FRESH_S = 1.0
RETRY_S = 10.0
_BACKLOG = 16

Render = Callable[[str], tuple[bytes, str]]


class MetricsListener:
    """Listens as long as ``run`` runs; what keeps it from that it tells and tries again.

    Args:
        address: where.
        render: makes the page, as ``OPENMETRICS`` or as ``PLAIN`` text.
        on_problem: told what is wrong, and ``None`` when it is over.
        retry_s: how long to wait before another try.
    """

    def __init__(
        self,
        address: Address,
        render: Render,
        on_problem: Callable[[Reason | None], None],
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        self._address = address
        self._render = render
        self._on_problem = on_problem
        self._retry_s = retry_s
        self._open = 0
        self._claim = ClaimedSocket(Path(address.path), key="metrics.listen") if address.path else None
        self._pages: dict[str, tuple[float, tuple[bytes, str]]] = {}

    async def run(self) -> None:
        """Serve until cancelled."""
        told = ""
        while True:
            try:
                server = await self._listen()
            except (OSError, EdgewardError) as error:
                problem = self._problem(error)
                if problem.text != told:
                    log.warning("%s; %s", problem.text, problem.remedy)
                    told = problem.text
                self._on_problem(problem)
                await asyncio.sleep(self._retry_s)
                continue
            self._on_problem(None)
            log.info("metrics at %s", self._address)
            try:
                await server.serve_forever()
            finally:
                server.close()
                if self._claim is not None:
                    self._claim.close()

    async def _listen(self) -> asyncio.Server:
        if self._claim is None:
            return await asyncio.start_server(
                self._serve, self._address.host, self._address.port, limit=MOST_HEAD, backlog=_BACKLOG
            )
        return await asyncio.start_unix_server(
            self._serve, sock=self._claim.open(), limit=MOST_HEAD, backlog=_BACKLOG
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > MOST_CONNECTIONS:
                writer.write(_response("503 Service Unavailable", b"too many readers\n"))
            else:
                async with asyncio.timeout(READ_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
            async with asyncio.timeout(WRITE_S):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # A reader that is slow, has gone or talks nonsense: its loss.
            log.debug("a reader of the metrics was cut off")
        finally:
            self._open -= 1
            writer.transport.abort()

    def _answer(self, head: bytes) -> bytes:
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return _response("400 Bad Request", b"this is HTTP/1.1\n")
        if method not in {"GET", "HEAD"}:
            return _response("405 Method Not Allowed", b"GET or HEAD\n", more="Allow: GET, HEAD\r\n")
        if target.partition("?")[0] not in {"/metrics", "/"}:
            return _response("404 Not Found", b"the figures are at /metrics\n")
        body, content_type = self._page(_header(lines, "accept"))
        return _response("200 OK", body, content_type, head_only=method == "HEAD")

    def _page(self, accept: str) -> tuple[bytes, str]:
        """The page for ``accept``, not made more often than once a second."""
        # Two pages, however many ways of asking a reader thinks of.
        form = OPENMETRICS if OPENMETRICS in accept else PLAIN
        made_s, page = self._pages.get(form, (float("-inf"), (b"", "")))
        now_s = time.monotonic()
        if now_s - made_s >= FRESH_S:
            page = self._render(form)
            self._pages[form] = now_s, page
        return page

    def _problem(self, error: OSError | EdgewardError) -> Reason:
        text = f"metrics cannot be read at {self._address}"
        if isinstance(error, EdgewardError):
            code = Code.CONFIG_VALUE if error.code is Code.CONTROL_SOCKET else error.code
            remedy = error.remedy
            if "metrics.listen" not in remedy:
                remedy = f"{remedy}, or change metrics.listen"
            return Reason(code.text, f"{text}: {error.what}", remedy)
        # `strerror` of an OSError of asyncio names the address once more.
        text = f"{text}: {os.strerror(error.errno or 0)}"
        if error.errno == errno.EADDRINUSE:
            remedy = "end what uses the address ('ss -ltnxp' shows it), or change metrics.listen"
            return Reason(Code.SYSTEM_BUSY.text, text, remedy)
        if error.errno in {errno.EACCES, errno.EPERM}:
            remedy = "let the agent's user write there, or change metrics.listen"
            return Reason(Code.SYSTEM_PERMISSION.text, text, remedy)
        return Reason(Code.CONFIG_VALUE.text, text, "change metrics.listen")


def _header(lines: list[str], name: str) -> str:
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _response(
    status: str,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    *,
    more: str = "",
    head_only: bool = False,
) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if head_only else body)
