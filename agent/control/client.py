"""The client of an agent's control socket: what the ``edgeward`` command asks a running agent with.

``Client`` is for asyncio; ``Blocking`` runs it for whoever has no event loop::

    with Blocking(socket_path(options.socket)) as agent:
        status = agent.run(lambda client: client.get_status())
        for event in agent.each(lambda client: client.get_events(follow=True)):
            ...

Everything that goes wrong is an ``EdgewardError``: the agent's own, as it raised it, or one of
``CONTROL_UNAVAILABLE``, ``CONTROL_PERMISSION``, ``CONTROL_TIMEOUT``, ``CONTROL_UNIMPLEMENTED``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from grpclib.protocol import Connection

from agent.control import control_pb2 as pb
from agent.control.control_grpc import ControlStub
from agent.control.failure import from_status
from agent.control.settings import DEFAULT_SOCKET
from runtime.errors import Code, EdgewardError, from_os_error

SOCKET_VARIABLE = "EDGEWARD_SOCKET"
# An agent that is alive answers within milliseconds; what takes longer by its nature has a time of its own.
ANSWER_S = 10.0
SNAPSHOT_S = 20.0
_MORE_S = 5.0

_T = TypeVar("_T")


def socket_path(option: str | Path | None = None) -> Path:
    """The control socket: the option of the command line, else ``$EDGEWARD_SOCKET``, else the usual place."""
    return Path(option or os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET)


class Client:
    """One connection to an agent, made with the first request. Use it as ``async with``.

    All times are in seconds; ``timeout_s`` is for the whole answer. Requests may run side by side.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Snapshots are some hundred kB; the window bounds what an agent may send ahead of the reader.
        self._channel = Channel(path=str(path), config=Configuration(http2_stream_window_size=1 << 20))
        self._stub = ControlStub(self._channel)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; running requests end with ``CONTROL_UNAVAILABLE``."""
        self._channel.close()

    async def get_status(self, *, timeout_s: float = ANSWER_S) -> pb.Status:
        """Everything that one screen shows."""
        return await self._ask(self._stub.GetStatus, pb.GetStatusRequest(), timeout_s)

    def watch_status(self, *, interval_s: float = 1.0) -> AsyncIterator[pb.Status]:
        """The same again and again, the first at once."""
        request = pb.WatchStatusRequest(interval_ms=max(1, round(interval_s * 1000)))
        return self._follow(self._stub.WatchStatus, request)

    async def get_health(self, *, timeout_s: float = ANSWER_S) -> pb.Health:
        """What the checks say."""
        return await self._ask(self._stub.GetHealth, pb.GetHealthRequest(), timeout_s)

    async def get_metrics(self, *, timeout_s: float = ANSWER_S) -> str:
        """The numbers as OpenMetrics text."""
        reply = await self._ask(self._stub.GetMetrics, pb.GetMetricsRequest(), timeout_s)
        return reply.text

    def get_events(
        self, *, recent: int = 0, follow: bool = False, detections: bool = False, pipeline: str = ""
    ) -> AsyncIterator[pb.Event]:
        """The last ``recent`` events, then those to come if ``follow`` is set."""
        request = pb.GetEventsRequest(recent=recent, follow=follow, detections=detections, pipeline=pipeline)
        return self._follow(self._stub.GetEvents, request)

    def get_logs(
        self, *, recent: int = 0, follow: bool = False, pipeline: str = "", level: str = ""
    ) -> AsyncIterator[pb.LogLine]:
        """The last ``recent`` lines of the log, then those to come if ``follow`` is set."""
        request = pb.GetLogsRequest(recent=recent, follow=follow, pipeline=pipeline, level=level)
        return self._follow(self._stub.GetLogs, request)

    async def start_pipeline(self, name: str, *, wait_s: float = 0.0) -> pb.Pipeline:
        """Start a pipeline that was stopped, drained or quarantined; wait until it runs for ``wait_s``."""
        return await self._pipeline(self._stub.StartPipeline, name, wait_s)

    async def stop_pipeline(self, name: str, *, wait_s: float = 0.0) -> pb.Pipeline:
        """Stop a pipeline; it stays so until it is started, or until the agent is."""
        return await self._pipeline(self._stub.StopPipeline, name, wait_s)

    async def restart_pipeline(self, name: str, *, wait_s: float = 0.0) -> pb.Pipeline:
        """Stop and start a pipeline."""
        return await self._pipeline(self._stub.RestartPipeline, name, wait_s)

    async def take_snapshot(
        self,
        pipeline: str,
        stream: str = "",
        *,
        annotate: bool = False,
        max_width: int = 0,
        timeout_s: float = SNAPSHOT_S,
    ) -> pb.SnapshotReply:
        """A picture of what a stream sees now; ``stream`` may be left out where there is only one."""
        request = pb.SnapshotRequest(pipeline=pipeline, stream=stream, annotate=annotate, max_width=max_width)
        return await self._ask(self._stub.TakeSnapshot, request, timeout_s)

    async def reload(self, *, timeout_s: float = 60.0) -> pb.ReloadReply:
        """Read the configuration file again."""
        return await self._ask(self._stub.Reload, pb.ReloadRequest(), timeout_s)

    async def get_config(self, *, timeout_s: float = ANSWER_S) -> pb.Config:
        """The configuration in force."""
        return await self._ask(self._stub.GetConfig, pb.GetConfigRequest(), timeout_s)

    async def drain(self, *, wait_s: float = 30.0) -> pb.DrainReply:
        """Stop all pipelines in order and leave the agent up."""
        return await self._ask(self._stub.Drain, pb.DrainRequest(wait_s=wait_s), wait_s + _MORE_S)

    async def list_bundles(self, *, timeout_s: float = ANSWER_S) -> pb.ListBundlesReply:
        """The bundles that this device holds."""
        return await self._ask(self._stub.ListBundles, pb.ListBundlesRequest(), timeout_s)

    def install_bundle(
        self, file: Path, pipeline: str, *, stage: str = "", wait_s: float = 0.0
    ) -> AsyncIterator[pb.InstallProgress]:
        """Put a bundle file in the place of the pipeline's; the last message has ``done``."""
        request = pb.InstallBundleRequest(
            file=str(file.absolute()), pipeline=pipeline, stage=stage, wait_s=wait_s
        )
        return self._follow(self._stub.InstallBundle, request)

    async def rollback_bundle(self, pipeline: str, *, stage: str = "", wait_s: float = 0.0) -> pb.Pipeline:
        """Go back to the previous good bundle."""
        request = pb.RollbackBundleRequest(pipeline=pipeline, stage=stage, wait_s=wait_s)
        reply = await self._ask(self._stub.RollbackBundle, request, wait_s + SNAPSHOT_S)
        return reply.pipeline

    async def _pipeline(
        self, method: UnaryUnaryMethod[pb.PipelineRequest, pb.PipelineReply], name: str, wait_s: float
    ) -> pb.Pipeline:
        request = pb.PipelineRequest(name=name, wait_s=wait_s)
        # A worker has some seconds to end in order, whether that is waited for or not.
        reply = await self._ask(method, request, wait_s + SNAPSHOT_S)
        return reply.pipeline

    async def _ask(self, method: UnaryUnaryMethod[Any, _T], request: object, timeout_s: float) -> _T:
        stream: Any = None
        with self._errors(lambda: stream, timeout_s):
            async with method.open(timeout=timeout_s) as stream:
                await stream.send_message(request, end=True)
                reply: _T | None = await stream.recv_message()
        if reply is None:
            raise _gone(self._path)
        return reply

    async def _follow(self, method: UnaryStreamMethod[Any, _T], request: object) -> AsyncIterator[_T]:
        stream: Any = None
        with self._errors(lambda: stream, 0.0):
            async with method.open() as stream:
                await stream.send_message(request, end=True)
                async for message in stream:
                    yield message

    @contextlib.contextmanager
    def _errors(self, stream: Callable[[], Any], timeout_s: float) -> Iterator[None]:
        """Turn what the library and the socket raise into errors for a person."""
        try:
            yield
        except GRPCError as error:
            metadata = getattr(stream(), "trailing_metadata", None) or {}
            raise from_status(error, metadata, str(self._path)) from error
        except TimeoutError as error:
            raise EdgewardError(
                Code.CONTROL_TIMEOUT,
                f"the agent did not answer within {timeout_s:g} s",
                where=str(self._path),
                remedy="look at its log: journalctl -u edgeward",
            ) from error
        except (StreamTerminatedError, ProtocolError) as error:
            raise _gone(self._path) from error
        except AttributeError as error:
            # A connection of grpclib's that was closed before the request began has no transport any more.
            if not isinstance(error.obj, Connection):
                raise
            raise _gone(self._path) from error
        except OSError as error:
            raise _not_connected(error, self._path) from error


class Blocking:
    """``Client`` of the socket ``path`` with an event loop of its own, for as long as the context lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._step: Coroutine[Any, Any, Any] | None = None

    def __enter__(self) -> Blocking:
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()
        self._runner.__exit__(kind, error, trace)
        if self._step is not None:
            self._step.close()  # Ctrl-C may have come before it began: Python would print a warning of that

    def run(self, call: Callable[[Client], Coroutine[Any, Any, _T]]) -> _T:
        """The answer to one request. Ctrl-C ends it with ``KeyboardInterrupt``."""

        async def ask() -> _T:
            return await call(self._connected())

        return self._to_its_end(ask())

    def each(self, call: Callable[[Client], AsyncIterator[_T]]) -> Iterator[_T]:
        """The answers of a request that has many, as they come."""
        messages: AsyncIterator[_T] | None = None

        async def following() -> tuple[bool, _T | None]:
            nonlocal messages
            if messages is None:
                messages = call(self._connected())
            try:
                return True, await anext(messages)
            except StopAsyncIteration:
                return False, None

        while True:
            more, message = self._to_its_end(following())
            if not more:
                return
            yield message  # type: ignore[misc]

    def _to_its_end(self, step: Coroutine[Any, Any, _T]) -> _T:
        self._step = step
        return self._runner.run(step)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client(self.path)
        return self._client


def _gone(path: Path) -> EdgewardError:
    return EdgewardError(
        Code.CONTROL_UNAVAILABLE,
        "the agent closed the connection",
        where=str(path),
        remedy="see whether it was restarted: systemctl status edgeward",
    )


def _not_connected(error: OSError, path: Path) -> EdgewardError:
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return EdgewardError(
            Code.CONTROL_UNAVAILABLE,
            "the agent does not run here",
            where=str(path),
            remedy=f"start it with 'systemctl start edgeward', or name its socket with --socket or "
            f"${SOCKET_VARIABLE}",
        )
    if isinstance(error, PermissionError):
        return EdgewardError(
            Code.CONTROL_PERMISSION,
            "this user may not use the agent's control socket",
            where=str(path),
            remedy="become a member of the group edgeward ('usermod -aG edgeward NAME', then log in again), "
            "or use sudo",
        )
    if isinstance(error, ConnectionError):
        return _gone(path)
    return from_os_error(error, where=str(path), fallback=Code.CONTROL_UNAVAILABLE)
