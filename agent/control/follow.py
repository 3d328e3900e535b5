"""Requests that are followed: status, events, log. A slow reader loses the oldest, and is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from agent.control import control_pb2 as pb
from agent.control.detections import Seen
from agent.control.parts import Parts
from agent.control.status import StatusReport
from agent.events import Event
from agent.logs.line import Line
from runtime.errors import Code, EdgewardError

SHORTEST_MS = 200
USUAL_MS = 1000
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


async def watch_status(report: StatusReport, request: pb.WatchStatusRequest) -> AsyncIterator[pb.Status]:
    """The status now, and each interval again."""
    interval_s = max(request.interval_ms or USUAL_MS, SHORTEST_MS) / 1000
    while True:
        yield report.status()
        await asyncio.sleep(interval_s)


async def get_events(parts: Parts, request: pb.GetEventsRequest) -> AsyncIterator[pb.Event]:
    """The last events, then those to come, and detections with them if they are wanted.

    Raises:
        EdgewardError: ``USAGE``: detections are not kept, so they are followed or not had.
    """
    if request.detections and not request.follow:
        what = "detections are not kept: they can be followed only"
        raise EdgewardError(Code.USAGE, what, remedy="ask for them with --follow")
    _check_pipeline(parts, request.pipeline)
    sources: list[AsyncIterator[Event | Seen]] = [parts.events.follow()] if request.follow else []
    if request.detections:
        sources.append(parts.detections.follow(request.pipeline))
    async with _merged(*sources) as next_one:
        recent = parts.events.recent()
        last = recent[-1].seq if recent else 0
        wanted = [item for item in recent if _is_about(item.subject, request.pipeline)]
        for event in wanted[-request.recent :] if request.recent else ():
            yield _event(parts, event, 0)
        while request.follow:
            item = await next_one()
            if isinstance(item, Seen):
                yield _detections(parts, item)
            elif item.seq > last:
                lost, last = item.seq - last - 1, item.seq
                if lost or _is_about(item.subject, request.pipeline):
                    yield _event(parts, item, lost)


async def get_logs(parts: Parts, request: pb.GetLogsRequest) -> AsyncIterator[pb.LogLine]:
    """The last lines, then those to come.

    Raises:
        EdgewardError: ``USAGE`` for a level that there is not.
    """
    name = request.level.upper()
    if name and name not in _LEVELS:
        raise EdgewardError(
            Code.USAGE, f"no level {request.level!r}", where="level", remedy=f"use {', '.join(_LEVELS)}"
        )
    _check_pipeline(parts, request.pipeline)
    lowest = logging.getLevelNamesMapping()[name] if name else 0

    def wanted(line: Line) -> bool:
        return line.level >= lowest and _tells_of(line, request.pipeline)

    sources = [parts.recent.follow()] if request.follow else []
    async with _merged(*sources) as next_one:
        recent = parts.recent.recent()
        last = recent[-1].seq if recent else 0
        for line in list(filter(wanted, recent))[-request.recent :] if request.recent else ():
            yield _line(line, 0)
        while request.follow:
            line = await next_one()
            if line.seq > last:
                lost, last = line.seq - last - 1, line.seq
                if lost or wanted(line):
                    yield _line(line, lost)


@contextlib.asynccontextmanager
async def _merged(*sources: AsyncIterator[Any]) -> AsyncIterator[Callable[[], Any]]:
    """Several sources as one; all are listened to before the body begins: nothing falls in between."""
    # One place: what waits longer waits in the source, which is bounded and counts what it drops.
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

    async def pump(source: AsyncIterator[Any]) -> None:
        async for item in source:
            await queue.put(item)

    tasks = [asyncio.create_task(pump(source)) for source in sources]
    try:
        await asyncio.sleep(0)
        yield queue.get
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check_pipeline(parts: Parts, name: str) -> None:
    if name and name not in parts.supervisor.pipelines:
        there = ", ".join(parts.supervisor.pipelines) or "none"
        raise EdgewardError(
            Code.CONTROL_UNKNOWN_PIPELINE, f"no pipeline {name!r}", remedy=f"there is {there}"
        )


def _tells_of(line: Line, pipeline: str) -> bool:
    """Lines of its worker are marked; the agent's own about it begin with its name, or a stream's."""
    starts = f"{pipeline}: ", f"{pipeline}/"
    return pipeline in {"", line.pipeline} or (line.part == "pipeline" and line.text.startswith(starts))


def _is_about(subject: str, pipeline: str) -> bool:
    return not pipeline or subject == pipeline or subject.startswith(f"{pipeline}/")


def _event(parts: Parts, event: Event, lost: int) -> pb.Event:
    return pb.Event(
        seq=event.seq,
        time_ms=parts.clock.at_ms(event.mono_ns),
        time_ok=parts.clock.synchronised(),
        kind=event.kind,
        subject=event.subject,
        severity=event.severity,
        code=event.code,
        text=event.text,
        remedy=event.remedy,
        lost=lost,
    )


def _detections(parts: Parts, seen: Seen) -> pb.Event:
    return pb.Event(
        time_ms=parts.clock.at_ms(seen.mono_ns),
        time_ok=parts.clock.synchronised(),
        kind="detections",
        subject=f"{seen.pipeline}/{seen.stream}",
        severity="ok",
        json=seen.json,
        lost=seen.lost,
    )


def _line(line: Line, lost: int) -> pb.LogLine:
    return pb.LogLine(
        time_ms=line.time_ms,
        level=line.level_name,
        part=line.part,
        pipeline=line.pipeline,
        text=line.one_line,
        lost=lost,
    )
