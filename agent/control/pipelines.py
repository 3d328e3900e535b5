"""Requests about pipelines: start, stop, restart, drain, and a picture of what a stream sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import msgspec

from agent.control import control_pb2 as pb
from agent.control.parts import Parts
from agent.control.status import StatusReport
from agent.control.to_its_end import begin, to_its_end
from agent.control.waits import check_wait
from agent.link.event import event
from agent.workers.pipeline import Pipeline, PipelineState
from agent.workers.stream_watch import StreamWatch
from runtime import ipc
from runtime.errors import Code, EdgewardError

# A worker may take its time over a frame; a stream of few frames gives the next one late.
PICTURE_S = 5.0
MOST_PICTURE_S = 15.0
WIDEST = 16384
# Whoever waits for a start wants to hear of a failure at once.
SETTLED: frozenset[PipelineState] = frozenset({"running", "failed", "quarantined", "stopped"})
STOPPED: frozenset[PipelineState] = frozenset({"stopped", "failed", "quarantined"})


class PipelineRequests:
    """Of one agent."""

    def __init__(self, parts: Parts, report: StatusReport) -> None:
        self._parts = parts
        self._report = report

    async def start(self, request: pb.PipelineRequest) -> pb.PipelineReply:
        """Start one that does not run."""
        return await self._change(request, self._parts.supervisor.start_pipeline, SETTLED)

    async def stop(self, request: pb.PipelineRequest) -> pb.PipelineReply:
        """Stop one until it is started."""
        return await self._change(request, self._parts.supervisor.stop_pipeline, STOPPED)

    async def restart(self, request: pb.PipelineRequest) -> pb.PipelineReply:
        """Stop and start one."""
        return await self._change(request, self._parts.supervisor.restart_pipeline, SETTLED)

    async def drain(self, request: pb.DrainRequest) -> pb.DrainReply:
        """Stop all of them; ``wait_s`` of 0 waits for as long as that takes.

        Raises:
            EdgewardError: ``CONTROL_TIMEOUT`` when they have not ended in the time that was given; they go on
                ending.
        """
        wait_s = check_wait(request.wait_s)
        draining = begin(self._parts.supervisor.drain(), "drain")
        done, _ = await asyncio.wait({draining}, timeout=wait_s or None)
        if not done:
            what = f"the pipelines did not end within {wait_s:g} s; they still do"
            raise EdgewardError(Code.CONTROL_TIMEOUT, what, remedy="look at 'edgeward status'")
        return pb.DrainReply(stopped=draining.result())

    async def snapshot(self, request: pb.SnapshotRequest) -> pb.SnapshotReply:
        """The next picture of a stream that is looked at.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE``, ``CONTROL_UNKNOWN_STREAM``; ``CONTROL_STATE`` when no
                worker runs; ``CONTROL_NO_PICTURE`` with the reason when the stream gives none.
        """
        pipeline = self.named(request.pipeline)
        name, watch = _stream_of(pipeline, request.stream)
        if request.max_width > WIDEST:
            what, remedy = f"{request.max_width} is no width", f"use 1 to {WIDEST}, or 0 for as it is"
            raise EdgewardError(Code.USAGE, what, where="max_width", remedy=remedy)
        if watch.state in {"stalled", "failed", "ended"}:
            raise _no_picture(pipeline, name, watch)
        fps = watch.config.max_fps * pipeline.rate
        wait_s = min(MOST_PICTURE_S, PICTURE_S + (2 / fps if fps else 0.0))
        asked = ipc.TakeSnapshot(stream=name, annotate=request.annotate, max_width=request.max_width)
        try:
            answer = await pipeline.ask(asked, wait_s)
        except EdgewardError as error:
            if error.code is Code.WORKER_HUNG:
                raise _no_picture(pipeline, name, watch) from error
            raise
        if not isinstance(answer, ipc.Snapshot):
            raise EdgewardError(Code.WORKER_PROTOCOL, "the worker answered something else")
        if answer.code:
            where = f"{pipeline.config.name}/{name}"
            raise EdgewardError(Code.of(answer.code), self._parts.redactor(answer.what), where=where)
        return self._picture(pipeline, name, answer)

    def named(self, name: str) -> Pipeline:
        """The pipeline of that name.

        Raises:
            EdgewardError: ``CONTROL_UNKNOWN_PIPELINE``.
        """
        found = self._parts.supervisor.pipelines.get(name)
        if found is None:
            there = ", ".join(self._parts.supervisor.pipelines) or "none"
            what = f"no pipeline {name!r}" if name else "no pipeline was named"
            raise EdgewardError(Code.CONTROL_UNKNOWN_PIPELINE, what, remedy=f"there is {there}")
        return found

    async def settled(
        self, pipeline: Pipeline, wait_s: float, states: Collection[PipelineState]
    ) -> pb.Pipeline:
        """The pipeline once it is in one of ``states``, or after ``wait_s`` as it is then."""
        if wait_s:
            await pipeline.wait_for(states, wait_s)
        return self.shown(pipeline)

    def shown(self, pipeline: Pipeline) -> pb.Pipeline:
        """The pipeline as it is now."""
        return self._report.pipeline(pipeline)

    async def _change(
        self,
        request: pb.PipelineRequest,
        change: Callable[[str], Coroutine[Any, Any, None]],
        states: Collection[PipelineState],
    ) -> pb.PipelineReply:
        wait_s = check_wait(request.wait_s)
        pipeline = self.named(request.name)
        await to_its_end(change(request.name), f"a change of {request.name}")
        return pb.PipelineReply(pipeline=await self.settled(pipeline, wait_s, states))

    def _picture(self, pipeline: Pipeline, stream: str, answer: ipc.Snapshot) -> pb.SnapshotReply:
        clock = self._parts.clock
        found = b""
        if answer.result is not None:
            body = event(pipeline.config.name, answer.result, answer.result.done_ns)
            found = msgspec.json.encode(body)
        return pb.SnapshotReply(
            jpeg=answer.jpeg,
            stream=stream,
            width=answer.width,
            height=answer.height,
            time_ms=clock.at_ms(answer.arrived_ns),
            time_ok=clock.synchronised(),
            json=found.decode(),
        )


def _stream_of(pipeline: Pipeline, name: str) -> tuple[str, StreamWatch]:
    there = ", ".join(pipeline.streams)
    if not name and len(pipeline.streams) == 1:
        return next(iter(pipeline.streams.items()))
    if name not in pipeline.streams:
        what = f"no stream {name!r}" if name else "it has several streams, and none was named"
        raise EdgewardError(
            Code.CONTROL_UNKNOWN_STREAM, what, where=pipeline.config.name, remedy=f"there is {there}"
        )
    return name, pipeline.streams[name]


def _no_picture(pipeline: Pipeline, name: str, watch: StreamWatch) -> EdgewardError:
    """Why, and since when."""
    now_ns = time.monotonic_ns()
    if watch.last_result_ns is None:
        since = "it has given no picture yet"
    else:
        since = f"its last picture is {(now_ns - watch.last_result_ns) / 1e9:.0f} s old"
    # A pipeline that was stopped is no matter of the camera.
    reason = watch.reason or (pipeline.reason if pipeline.state != "running" else None)
    why = f": {reason.text}" if reason else ""
    return EdgewardError(
        Code.CONTROL_NO_PICTURE,
        f"the stream is {watch.state}, {since}{why}",
        where=f"{pipeline.config.name}/{name}",
        remedy=reason.remedy if reason and reason.remedy else "check the camera",
    )
