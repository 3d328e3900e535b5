"""The control service: each request goes to the module that it is about."""

# ruff: noqa: N802 - the names are those of control.proto
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from grpclib.server import Stream

from agent.control import connections, follow
from agent.control import control_pb2 as pb
from agent.control.bundles import BundleRequests
from agent.control.configuration import ConfigurationRequests
from agent.control.control_grpc import ControlBase
from agent.control.parts import Parts
from agent.control.pipelines import PipelineRequests
from agent.control.status import StatusReport
from runtime.errors import Code, EdgewardError

# A client sends its request at once.
ASKED_S = 10.0
# Made or taken by their clients at the same time; the others wait.
MOST_SNAPSHOTS = 8

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")


class ControlService(ControlBase):
    """What ``control.proto`` says. Errors are ``EdgewardError``; ``guard`` turns them into statuses."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._report = StatusReport(parts)
        self._pipelines = PipelineRequests(parts, self._report)
        self._bundles = BundleRequests(parts, self._pipelines)
        self._configuration = ConfigurationRequests(parts)
        self._snapshots = asyncio.Semaphore(MOST_SNAPSHOTS)

    async def GetStatus(self, stream: Stream[pb.GetStatusRequest, pb.Status]) -> None:
        """Everything that one screen shows."""
        await _asked(stream)
        await _send(stream, self._report.status())

    async def WatchStatus(self, stream: Stream[pb.WatchStatusRequest, pb.Status]) -> None:
        """The same again and again."""
        await _all(stream, follow.watch_status(self._report, await _asked(stream)))

    async def GetHealth(self, stream: Stream[pb.GetHealthRequest, pb.Health]) -> None:
        """What the checks say."""
        await _asked(stream)
        await _send(stream, self._report.health())

    async def GetMetrics(self, stream: Stream[pb.GetMetricsRequest, pb.MetricsText]) -> None:
        """OpenMetrics text."""
        await _asked(stream)
        await _send(stream, pb.MetricsText(text=self._parts.metrics()))

    async def GetEvents(self, stream: Stream[pb.GetEventsRequest, pb.Event]) -> None:
        """What happened and happens."""
        await _all(stream, follow.get_events(self._parts, await _asked(stream)))

    async def GetLogs(self, stream: Stream[pb.GetLogsRequest, pb.LogLine]) -> None:
        """What is logged."""
        await _all(stream, follow.get_logs(self._parts, await _asked(stream)))

    async def StartPipeline(self, stream: Stream[pb.PipelineRequest, pb.PipelineReply]) -> None:
        """Start a pipeline."""
        await _send(stream, await self._pipelines.start(await _asked(stream)))

    async def StopPipeline(self, stream: Stream[pb.PipelineRequest, pb.PipelineReply]) -> None:
        """Stop a pipeline."""
        await _send(stream, await self._pipelines.stop(await _asked(stream)))

    async def RestartPipeline(self, stream: Stream[pb.PipelineRequest, pb.PipelineReply]) -> None:
        """Stop and start a pipeline."""
        await _send(stream, await self._pipelines.restart(await _asked(stream)))

    async def TakeSnapshot(self, stream: Stream[pb.SnapshotRequest, pb.SnapshotReply]) -> None:
        """A picture of what a stream sees."""
        request = await _asked(stream)
        # Each is megabytes until the client has taken it.
        async with self._snapshots:
            await _send(stream, await self._pipelines.snapshot(request))

    async def Reload(self, stream: Stream[pb.ReloadRequest, pb.ReloadReply]) -> None:
        """Read the configuration again."""
        await _asked(stream)
        await _send(stream, await self._configuration.reload())

    async def GetConfig(self, stream: Stream[pb.GetConfigRequest, pb.Config]) -> None:
        """The configuration in force."""
        await _asked(stream)
        await _send(stream, self._configuration.get())

    async def Drain(self, stream: Stream[pb.DrainRequest, pb.DrainReply]) -> None:
        """Stop all pipelines."""
        await _send(stream, await self._pipelines.drain(await _asked(stream)))

    async def ListBundles(self, stream: Stream[pb.ListBundlesRequest, pb.ListBundlesReply]) -> None:
        """The bundles that this device holds."""
        await _asked(stream)
        await _send(stream, await self._bundles.list())

    async def InstallBundle(self, stream: Stream[pb.InstallBundleRequest, pb.InstallProgress]) -> None:
        """Run a bundle file in the place of the pipeline's."""
        await _all(stream, self._bundles.install(await _asked(stream)))

    async def RollbackBundle(self, stream: Stream[pb.RollbackBundleRequest, pb.PipelineReply]) -> None:
        """Go back to the previous good bundle."""
        await _send(stream, await self._bundles.roll_back(await _asked(stream)))


async def _asked(stream: Stream[_Request, Any]) -> _Request:
    """The request.

    Raises:
        EdgewardError: ``USAGE`` when what came is none; ``CONTROL_TIMEOUT`` when nothing came;
            ``CONTROL_UNIMPLEMENTED`` when it is compressed.
    """
    try:
        async with asyncio.timeout(ASKED_S):
            request = await stream.recv_message()
    except TimeoutError as error:
        raise EdgewardError(Code.CONTROL_TIMEOUT, f"no request came within {ASKED_S:g} s") from error
    except NotImplementedError as error:
        remedy = "send requests without compression"
        raise EdgewardError(Code.CONTROL_UNIMPLEMENTED, "the request is compressed", remedy=remedy) from error
    except (DecodeError, AssertionError) as error:  # the second for a request that ends before its length
        raise EdgewardError(Code.USAGE, "the request is no message of this method") from error
    if request is None:
        raise EdgewardError(Code.USAGE, "the request has no message")
    return request


async def _send(stream: Stream[Any, _Reply], message: _Reply) -> None:
    """Send one.

    Raises:
        EdgewardError: ``CONTROL_TIMEOUT`` when the client does not take it.
    """
    try:
        async with asyncio.timeout(connections.STUCK_S):
            await stream.send_message(message)
    except TimeoutError as error:
        what = f"the client has taken nothing for {connections.STUCK_S:g} s"
        raise EdgewardError(Code.CONTROL_TIMEOUT, what) from error


async def _all(stream: Stream[Any, _Reply], messages: AsyncIterator[_Reply]) -> None:
    """Send one after the other; the source is closed whatever ends it."""
    async with contextlib.aclosing(messages) as source:  # type: ignore[type-var]
        async for message in source:
            await _send(stream, message)
