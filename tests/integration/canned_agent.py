"""An agent's control socket without an agent: what it answers stands in the test, what it is asked is kept.

The real agent cannot be asked to say anything at all, to say it slowly, or to vanish in the middle; this one
can. It speaks the real protocol on a real socket.
"""

# ruff: noqa: N802 - the names of its methods are those of the protocol

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grpclib.exceptions import GRPCError

from agent.control import control_pb2 as pb
from agent.control.connections import BoundedServer
from agent.control.control_grpc import ControlBase
from agent.control.failure import metadata_of, status_of
from runtime.errors import EdgewardError

JPEG = b"\xff\xd8\xff\xe0 no picture, but bytes that no text has \x00\xff\xd9"


def device_at_work() -> pb.Status:
    """One pipeline with one stream."""
    found = pb.Status(version="0.2.0", pid=812, uptime_s=5)
    found.device.id = "edge-17"
    found.health.state = "ok"
    line = found.pipelines.add(name="line", state="running", for_s=5, pid=33)
    line.streams.add(name="cam", state="running", for_s=5, fps=20, latency_p50_ms=7, latency_p95_ms=9)
    return found


class Service(ControlBase):
    """Answers with what its fields hold; ``asked`` are the requests, in order."""

    def __init__(self) -> None:
        self.status = device_at_work()
        self.events = [
            pb.Event(seq=1, time_ms=1_795_000_000_000, time_ok=True, kind="agent.started", text="it runs"),
            pb.Event(
                seq=2, time_ms=1_795_000_001_000, kind="worker.died", subject="line", severity="critical"
            ),
        ]
        self.logs = [pb.LogLine(time_ms=1_795_000_000_000, level="INFO", part="agent", text="it runs")]
        self.reload = pb.ReloadReply(restarted=["line"], unchanged=["other"], needs_restart=["mqtt.url"])
        self.bundles = pb.ListBundlesReply()
        self.steps = [pb.InstallProgress(step="copying"), pb.InstallProgress(step="verifying")]
        self.error: EdgewardError | None = None
        self.asked: list[Any] = []

    async def _take(self, stream: Any) -> Any:
        request = await stream.recv_message()
        self.asked.append(request)
        if self.error is not None:
            await stream.send_initial_metadata()
            await stream.send_trailing_metadata(
                status=status_of(self.error.code),
                status_message=self.error.what,
                metadata=metadata_of(self.error),
            )
            raise GRPCError(status_of(self.error.code))
        return request

    async def _one(self, stream: Any, reply: Any) -> None:
        await self._take(stream)
        await stream.send_message(reply)

    async def _all(self, stream: Any, messages: list[Any]) -> None:
        request = await self._take(stream)
        for message in messages[max(0, len(messages) - request.recent) :]:
            await stream.send_message(message)
        if request.follow:
            await asyncio.Event().wait()

    async def _pipeline(self, stream: Any) -> None:
        await self._one(stream, pb.PipelineReply(pipeline=self.status.pipelines[0]))

    async def GetStatus(self, stream: Any) -> None:
        await self._one(stream, self.status)

    async def WatchStatus(self, stream: Any) -> None:
        request = await self._take(stream)
        while True:
            await stream.send_message(self.status)
            await asyncio.sleep(request.interval_ms / 1000)

    async def GetHealth(self, stream: Any) -> None:
        await self._one(stream, self.status.health)

    async def GetMetrics(self, stream: Any) -> None:
        await self._one(stream, pb.MetricsText(text="# EOF\n"))

    async def GetEvents(self, stream: Any) -> None:
        await self._all(stream, self.events)

    async def GetLogs(self, stream: Any) -> None:
        await self._all(stream, self.logs)

    async def StartPipeline(self, stream: Any) -> None:
        await self._pipeline(stream)

    async def StopPipeline(self, stream: Any) -> None:
        await self._pipeline(stream)

    async def RestartPipeline(self, stream: Any) -> None:
        await self._pipeline(stream)

    async def TakeSnapshot(self, stream: Any) -> None:
        await self._one(stream, pb.SnapshotReply(jpeg=JPEG, stream="cam", width=640, height=480))

    async def Reload(self, stream: Any) -> None:
        await self._one(stream, self.reload)

    async def GetConfig(self, stream: Any) -> None:
        await self._one(stream, pb.Config(toml='[device]\nid = "x"\n', json='{"device": {"id": "x"}}'))

    async def Drain(self, stream: Any) -> None:
        await self._one(stream, pb.DrainReply(stopped=["line"]))

    async def ListBundles(self, stream: Any) -> None:
        await self._one(stream, self.bundles)

    async def InstallBundle(self, stream: Any) -> None:
        await self._take(stream)
        for step in self.steps:
            await stream.send_message(step)

    async def RollbackBundle(self, stream: Any) -> None:
        await self._pipeline(stream)


@contextmanager
def serving(path: Path, service: Service) -> Iterator[None]:
    """Serve on the socket ``path`` from a thread; at the end every connection is cut."""
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        path.unlink(missing_ok=True)
        server = BoundedServer([service])
        await server.start(path=str(path))
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()
        path.unlink(missing_ok=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
