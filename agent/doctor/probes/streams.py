"""Can every stream be opened, and does a picture come?"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec

from agent.config import Pipeline, Stream, check_stream_url
from agent.doctor.child import selftest
from agent.doctor.finding import Finding, chain, ok, quoted, skip
from agent.doctor.mend import edit, finding_of
from agent.doctor.site import Site
from runtime.errors import Code, EdgewardError
from runtime.ipc import StreamSpec

MEANING = "every stream can be opened with its login, and gives a picture"
NEEDS = ("configuration", "agent", "decoders")
TIMEOUT_S = 600.0
AT_A_TIME = 4
# For the process to start and end, beside the times that the stream itself has.
_AROUND_S = 15.0


async def probe(site: Site) -> list[Finding]:
    """What the agent gets results of is not opened a second time: many cameras serve one viewer only."""
    if site.unknown_agent:
        return [skip(site.unknown_agent)]
    turns = asyncio.Semaphore(AT_A_TIME)

    async def one(pipeline: Pipeline, number: int, stream: Stream) -> Finding:
        key = f"pipeline[{site.known.pipeline.index(pipeline)}].stream[{number}].url"
        async with turns:
            return await _one(site, pipeline.name, stream, key)

    waiting = [
        one(pipeline, number, stream)
        for pipeline in site.known.pipeline
        for number, stream in enumerate(pipeline.stream)
    ]
    return list(await asyncio.gather(*waiting)) or [skip("no stream is configured")]


async def _one(site: Site, pipeline: str, stream: Stream, key: str) -> Finding:
    subject = f"{pipeline}/{stream.name}"
    running = site.running(pipeline, stream.name)
    if running is not None:
        size = f"{running.codec} {running.width}x{running.height}"
        return ok(f"the agent reads it: {size}, {running.fps:.1f} results a second", subject=subject)
    try:
        check_stream_url(stream.url, where=subject)
    except EdgewardError as error:
        return skip(f"{error.what}: see the probe of the configuration", subject=subject)
    try:
        spec = StreamSpec(
            name=stream.name,
            url=stream.url_for_worker(),
            open_timeout_s=stream.open_timeout_s,
            read_timeout_s=stream.read_timeout_s,
        )
        seconds = stream.open_timeout_s + 2 * stream.read_timeout_s + _AROUND_S
        # Over a pipe, since the URL may hold a password.
        answer = await selftest({"task": "source", "stream": msgspec.to_builtins(spec)}, seconds=seconds)
    except EdgewardError as error:
        command = _command(error, stream, site, key)
        return finding_of(site.clean(error), site, subject=subject, command=command, blocks=False)
    size = f"{answer.get('codec')} {answer.get('width')}x{answer.get('height')}"
    return ok(f"{size}, first picture after {answer.get('first_picture_ms')} ms", subject=subject)


def _command(error: EdgewardError, stream: Stream, site: Site, key: str) -> str:
    """What to type: where the camera is to blame, how to look at the way to it."""
    parts = urlsplit(stream.url) if "://" in stream.url else None
    if parts is None or parts.scheme == "file":
        path = parts.path if parts else stream.url
        return quoted("ls", "-l", path) if error.code is Code.SOURCE_MISSING else edit(site, key)
    host, port = (
        parts.hostname or "",
        parts.port or {"rtsps": 322, "http": 80, "https": 443}.get(parts.scheme, 554),
    )
    match error.code:
        case Code.SOURCE_UNAUTHORIZED if stream.password_file:
            return quoted("sudo", "editor", stream.password_file)
        case Code.SOURCE_REFUSED:
            return quoted("nc", "-vz", "-w", 5, host, port)
        case (
            Code.SOURCE_UNREACHABLE
            | Code.SOURCE_TIMEOUT
            | Code.SOURCE_STALLED
            | Code.SOURCE_LOST
            | Code.SYSTEM_TIMEOUT
        ):
            # `ahosts` takes an address too; `hosts` fails on one that has no name.
            return chain([quoted("getent", "ahosts", host), quoted("ping", "-c", 3, host)])
        case _:
            return edit(site, key)
